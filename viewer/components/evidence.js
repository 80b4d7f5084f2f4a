// Values with units, and how they compare with those of the other tracks of the frame.

export default {
  template: `
    <table class="ts-evidence">
      <thead><tr><th>Evidence</th><th class="number">Value</th><th></th>
        <th class="rank" title="Share of the tracks in this frame that this value is worse than">Worse than</th></tr></thead>
      <tbody>
        <tr v-for="row in known" :key="row.name" :title="row.hint" :class="{ unusual: row.unusual }">
          <td>{{ row.title }}</td><td class="number">{{ row.value }}</td><td class="unit">{{ row.unit }}</td>
          <td class="rank"><template v-if="row.rank !== null"><i><b :style="{ width: row.rank + '%' }"></b></i><span>{{ row.rank }} %</span></template></td>
        </tr>
        <tr v-if="unknown"><td colspan="4" class="unit absent">No value here: {{ unknown }}.</td></tr>
      </tbody>
    </table>`,
  props: { rows: Array },
  computed: {
    known() { return this.rows.filter((row) => row.value !== null); },
    unknown() { return this.rows.filter((row) => row.value === null).map((row) => row.title).join(", "); },
  },
};
