"""Every number on which the first points depend. One dataclass per module that reads it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class NeighbourSettings:
    """Which views a view is compared with: those that see the same volume under a moderate parallax (`views.neighbours`)."""

    count: int = 6
    angle: float = 10.0  # degrees: the best parallax
    narrow: float = 6.0  # degrees: standard deviation of the preference below that angle
    wide: float = 15.0  # and above it


@dataclass(frozen=True)
class FarApartSettings:
    """When cameras count as far apart (`views.far_apart`)."""

    angle: float = 18.0  # degrees between two neighbouring cameras, seen from what they look at
    around: tuple[float, float] = (0.6, 1.6)  # depths of the places whose views are counted, over that of what they look at
    few: float = 5.0  # views of a place, on average, below which a place has few views
    many: float = 16.0  # and from which on it has many


@dataclass(frozen=True)
class DepthRangeSettings:
    """Near and far of a view (`views.depth_range`, `views.tighten`). Pairs are factors for near and for far."""

    bounds: tuple[float, float] = (0.8, 1.3)  # of the capture's depth bounds
    fewest_points: int = 50  # of the capture, for its points to count
    fewest_seen: int = 20  # of them in the view
    percentiles: tuple[float, float] = (1.0, 99.0)  # of their depths
    points: tuple[float, float] = (0.6, 1.6)  # of those percentiles
    focus: tuple[float, float] = (0.15, 5.0)  # of the depth of the cameras' common focus
    nearest_focus: float = 0.2  # depth of a focus that counts, over the rig's size
    rig: tuple[float, float] = (0.2, 30.0)  # of the rig's size, where there is no such focus
    fewest_swept: int = 100  # points of the coarse sweep in the view, for its range to be tightened
    swept_percentiles: tuple[float, float] = (0.5, 99.5)  # of their depths
    swept: tuple[float, float] = (0.85, 1.2)  # of those percentiles


@dataclass(frozen=True)
class FusionSettings:
    """When views agree on a point (`fusion.fuse`)."""

    tolerance: float = 0.01  # relative depth difference up to which two views mean the same surface
    agreeing: int = 2  # views, beside the one that proposes the point


@dataclass(frozen=True)
class SweepSettings:
    """The plane sweep (`sweep.sweep`, `sweep_torch.depth_maps`)."""

    window: int = 5  # pixels, side of the square over which patches are correlated
    fewest_planes: int = 24
    most_planes: int = 256  # at most 512, for the sums of `sweep_torch`
    step_penalty: int = 24  # in units of the 8-bit cost
    jump_penalty: int = 240
    edge: float = 16.0  # grey levels between neighbours that halve the price of a jump
    flat: float = 2.0  # grey levels: standard deviation below which a patch counts as flat
    coarse_side: int = 96  # pixels, longer side of the images that find the depth range
    coarse_tolerance: float = 0.03  # as FusionSettings.tolerance, of those images


@dataclass(frozen=True)
class PatchMatchSettings:
    """PatchMatch with slanted windows (`patchmatch.patchmatch`)."""

    levels: int = 3  # each twice as fine as the one before
    rounds: tuple[int, ...] = (6, 3, 2)  # of propagation and refinement, per level
    coarse_side: int = 128  # pixels, longer side of the images that find how near the nearest surface is
    coarse_levels: int = 2  # as levels, of those images
    tries: int = 24  # random planes per pixel at the start
    similar: float = 24.0  # grey levels by which a sample may differ from the middle until it counts less (1/e)
    flat: float = 2.0  # grey levels: standard deviation below which a patch counts as flat
    steepest: float = 1.2  # largest slope: relative change of depth per pixel, over the window's half side of the image's width
    neighbours: int = 3  # views that each is compared with
    few: int = 3  # with so many other views or fewer, the best one counts alone
    mismatch: float = 0.2  # from which on a patch is dropped
    tolerance: float = 0.01  # as FusionSettings.tolerance
    margin: float = 0.015  # relative depth difference up to which another view agrees; a view whose depth is larger by twice this sees past


@dataclass(frozen=True)
class GroundSettings:
    """The search for the ground plane (`ground.find_ground`)."""

    upright: float = 0.5  # length of the mean upward direction of the pictures (1 if all agree), at least
    tilt: float = 25.0  # degrees between the ground's normal and that direction, at most
    directions: int = 2000  # of the sphere, about 4 degrees apart
    offsets: int = 30  # planes per direction, from the focus down
    deepest: float = 1.2  # of the cameras' distance from the focus: how far below it the ground may lie
    above: float = 0.02  # of that distance: how far every camera stands above the ground, at least
    half: float = 0.8  # half side of the compared square, over the same distance
    cells: int = 64  # along a side of it
    window: int = 5  # cells, side of the square over which pictures are correlated
    known: float = 0.7  # share of a window that a view must see
    shared: float = 0.03  # of the square, which two views must see at least
    flat: float = 3.0  # grey levels: standard deviation below which a window counts as flat
    starts: int = 8  # best planes that are refined
    evaluations: int = 80  # tries for each
    apart_angle: float = 4.0  # degrees; two starts differ by so much,
    apart_height: float = 0.06  # or by this part of the cameras' distance from the focus
    first_turn: float = 0.05  # size of the first simplex: tangent of an angle,
    first_shift: float = 0.03  # and part of that distance
    agreed: float = 0.09  # agreement from which on the plane is accepted; noise reaches 0.08


@dataclass(frozen=True)
class BackdropSettings:
    """Where pixels without a match are put (`backdrop`)."""

    far: float = 1.5  # radius of the sphere behind everything, over the median distance of the cameras from the focus, without points
    reached: float = 90.0  # percent of the points that are within the sphere, where there are some; the rest may be wrong
    fewest: int = 100  # points for that
    margin: float = 1.01  # radius of the sphere over the largest distance of a camera, at least
    beside: int = 4  # pixels around a point that count as taken


@dataclass(frozen=True)
class MoverSettings:
    """Masks of what moves, from the clip alone (`movers.mover_mask`)."""

    frames: int = 12  # of the clip, evenly spread
    changed: float = 22.0  # grey levels of 255 by which a channel must differ
    mostly: float = 0.6  # share of the frames from which a pixel must differ to be taken as part of the mover, before it is cut out
    joined: int = 15  # part of the image's width: gaps that are closed are 1/15 of it
    widened: int = 60  # and how far around the changes the mover may reach
    small: float = 0.15  # of the largest changed region; smaller ones are shadows, screens, curtains
    rounds: int = 6  # of GrabCut
    seed: int = 0


@dataclass(frozen=True)
class LayerSettings:
    """Ground, backdrop and movers of cameras far apart (`strategies.ground`)."""

    chance: float = 0.25  # share of the matches that agree by chance, from which on none is kept
    reach: float = 0.45  # of the cameras' distance from the focus: radius of the rig that the hull of the movers is carved in


@dataclass(frozen=True)
class RigSettings:
    """Which cameras surround their scene (`rig.surrounding_rig`)."""

    fewest: int = 8  # cameras
    one_sided: float = 0.6  # length of the mean direction from the focus to the cameras: 0 all around, 0.5 a half dome, 1 all on one spot
    seeing: float = 0.9  # share of the cameras that must have the focus in their image


@dataclass(frozen=True)
class ShellSettings:
    """The surface around an inward-looking rig (`shell.find_shell`, `surround.shell_points`)."""

    share: float = 0.35  # of the points
    side: int = 360  # pixels, longer side of the images that it is found with
    rows: int = 160  # of the panorama
    columns: int = 320
    spheres: int = 80
    near: float = 0.4  # smallest radius, relative to the rig's
    far: float = 6.0  # and largest
    window: int = 7  # pixels of the panorama, side of the square over which patches are correlated
    known: float = 0.7  # share of a window that a view must see
    step_penalty: int = 12  # in units of the 8-bit cost
    jump_penalty: int = 60
    flat: float = 1.5  # grey levels: standard deviation below which a patch counts as flat
    uncorrelated: int = 12  # ordered pairs of views without correlation that are added: two agree by chance more easily than ten
    silent: float = 0.47  # mismatch from which on a direction is ignored; 0.5 is chance
    nodes: int = 3000  # of the fitted surface
    neighbours: int = 8
    rounds: int = 14  # of reweighting
    smoothness: float = 1.0  # of a bend, against the mean evidence of a node
    outlier: float = 1.5  # spheres: misfit from which on evidence loses weight,
    lenient: float = 25.0  # times so much in the first round,
    stricter: float = 0.7  # and this factor less from round to round, as far down as 1
    crease: float = 0.3  # spheres: bend from which on it counts as a crease
    thickness: float = 0.05  # of its radius; nearer than that in front of it, a point may belong to it
    border: float = 0.01  # of the image's width: masks are widened by so much before the background is looked at


@dataclass(frozen=True)
class HullSettings:
    """The visual hull of the masks (`hull.hull_surface`)."""

    share: float = 0.25  # of the points
    coarse: int = 64  # voxels along a side of the first grid
    tolerated: float = 0.1  # share of the views whose mask may miss a voxel, because masks lose fingers and hair
    fewest_views: int = 3  # that see a voxel
    margin: float = 1.1  # half width of the carved cube over the rig's radius
    pixels: float = 1.5  # wanted width of a voxel at the focus
    most_halvings: int = 5
    splat: int = 8  # pixels, largest half width of a point in the depth buffer that tells which views see it


@dataclass(frozen=True)
class GapSettings:
    """The capture's own features in the gaps of the found points (`gaps.fill_gaps`)."""

    largest_share: float = 0.3  # of the found points; more features than that are thinned out


@dataclass(frozen=True)
class PointSettings:
    """How the first points are found."""

    strategy: str = "auto"  # one of POINT_STRATEGIES alone, or "auto": those that suit the cameras, and the capture's own points
    enough: int = 10_000  # "auto" uses a capture's own points as they are from this many on, unless they are sparse
    count: int = 20_000  # points wanted
    max_side: int = 480  # pixels, longer side of the images that are matched
    detail_floor: float = 6.0  # grey levels per pixel; a flat region gets points as if it had this much detail
    neighbours: NeighbourSettings = field(default_factory=NeighbourSettings)
    far_apart: FarApartSettings = field(default_factory=FarApartSettings)
    depth_range: DepthRangeSettings = field(default_factory=DepthRangeSettings)
    fusion: FusionSettings = field(default_factory=FusionSettings)
    sweep: SweepSettings = field(default_factory=SweepSettings)
    patchmatch: PatchMatchSettings = field(default_factory=PatchMatchSettings)
    layers: LayerSettings = field(default_factory=LayerSettings)
    ground: GroundSettings = field(default_factory=GroundSettings)
    backdrop: BackdropSettings = field(default_factory=BackdropSettings)
    movers: MoverSettings = field(default_factory=MoverSettings)
    rig: RigSettings = field(default_factory=RigSettings)
    shell: ShellSettings = field(default_factory=ShellSettings)
    hull: HullSettings = field(default_factory=HullSettings)
    gaps: GapSettings = field(default_factory=GapSettings)
    planes_too: bool = False  # whether planes are swept, too, where cameras are far apart: a GPU does it in seconds
    covered: float = 0.85  # share of the training pixels near a matched point, from which on matched points alone need no comparison
    seed: int = 0
