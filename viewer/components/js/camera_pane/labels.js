// Methods of the camera pane. Texts over and beside the picture.

const ROLES = {
  training: "Used for reconstruction",
  "held out": "Never used for reconstruction, only for measuring",
  made: "Made around the imported scene: nobody filmed it",
};

export const labels = {
  drawLabels() {
    const header = this.picture?.header ?? this.refused;
    const { name, role, frame, what, score, ssim, pixels, extent, note } = this.parts;
    const set = (element, text, title = text) => {
      if (element.textContent !== text) element.textContent = text; // what stays as it is costs no layout
      if (element.title !== title) element.title = title;
      if (element.hidden === !!text) element.hidden = !text;
    };
    set(name, header?.camera ?? "", header ? `Camera ${header.camera}` : "");
    set(role, header?.role ?? "", ROLES[header?.role] ?? "");
    set(frame, header ? `frame ${header.frame + 1}` : "", "The frame of this picture");
    set(what, header?.label ?? "");
    const all = header?.score ? `${header.score.psnr_text}, ${header.score.ssim_text}, ${header.score.pixels}` : "";
    set(score, header?.score?.psnr_text ?? "", all);
    set(ssim, header?.score?.ssim_text ?? "", all);
    set(pixels, header?.score?.pixels ?? "", all);
    set(extent, header?.score?.extent ?? "", all);
    extent.classList.toggle("whole", header?.score?.extent === "whole image");
    set(note, header?.note ?? "");
    this.drawLegend();
    this.describe();
  },

  describe() {
    const header = this.picture?.header ?? this.refused;
    const content = header ? `${header.camera}, ${header.role}, frame ${header.frame + 1}, ${header.label}` : "no picture yet";
    const score = header?.score ? `, ${header.score.psnr_text}, ${header.score.ssim_text}` : "";
    this.$el.setAttribute("aria-label", `Camera pane ${this.pane + 1}: ${content}${score}. Plus and minus zoom, arrows pan, 0 fits.`);
  },

  say(kind, sentence) {
    const { message } = this.parts;
    if (!sentence && message.hidden) return;
    message.className = `tsp-message ${kind}`;
    message.textContent = sentence;
    message.hidden = !sentence;
  },
};
