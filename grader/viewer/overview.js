// The whole run in a strip: how much happened when, what went wrong, and which part of it the lanes show.

import { cycle } from "./pen.js";

const HEIGHT = 34;

/** The strip below the lanes. */
export class Overview {
  constructor(canvas, model, lanes, moved) {
    Object.assign(this, { canvas, model, lanes, moved });
    let held = false;
    const move = (event) => {
      const { first, last, from, to } = lanes;
      const at = first + (event.offsetX / canvas.clientWidth) * (last - first);
      lanes.show(at - (to - from) / 2, at + (to - from) / 2);
      this.moved();
    };
    canvas.addEventListener("pointerdown", (down) => {
      held = true;
      canvas.setPointerCapture(down.pointerId);
      move(down);
    });
    canvas.addEventListener("pointermove", (event) => held && move(event));
    canvas.addEventListener("pointerup", () => (held = false));
  }

  x(place) {
    const { first, last } = this.lanes;
    return ((place - first) / (last - first)) * this.wide;
  }

  /** What does not change from frame to frame is drawn once. */
  measure() {
    this.still = null;
  }

  drawStill(scale, w) {
    const { model, lanes } = this;
    const still = document.createElement("canvas");
    still.width = Math.max(1, Math.round(w * scale));
    still.height = Math.round(HEIGHT * scale);
    const g = still.getContext("2d");
    g.scale(scale, scale);
    const colour = lanes.colours();
    g.fillStyle = colour("--panel");
    g.fillRect(0, 0, w, HEIGHT);
    g.fillStyle = colour("--shade");
    for (const fault of model.faults) {
      const x = this.x(lanes.place(fault.i));
      g.fillRect(x, 0, Math.max(1.5, this.x(lanes.place(fault.end)) - x), HEIGHT);
    }
    const columns = new Uint32Array(Math.ceil(w / 2) + 1);
    // This loop is over all events, so it does only what it must.
    const { first, even } = lanes;
    const by = w / 2 / (lanes.last - first);
    for (let i = 0; i < model.count; i++) columns[((even ? i : model.time[i]) - first) * by | 0] += 1;
    const most = Math.max(1, ...columns);
    g.fillStyle = colour("--beat");
    columns.forEach((count, at) => {
      const tall = Math.sqrt(count / most) * (HEIGHT - 14);
      if (count > 0) g.fillRect(at * 2, HEIGHT - 2 - tall, 1.6, tall);
    });
    // Who leads region 1, or the first there is: a line at the top, in the colour of its node.
    const regions = [...model.states.keys()].map((key) => Number(key.split("/")[1]));
    const region = Math.min(...regions);
    for (const n of Number.isFinite(region) ? model.nodes : []) {
      const states = model.states.get(`${n}/${region}`) ?? [];
      g.fillStyle = colour(cycle(n));
      states.forEach((state, k) => {
        if (state.role !== "Leader" || state.down) return;
        const stop = k + 1 < states.length ? states[k + 1].i : model.count - 1;
        const x = this.x(lanes.place(state.i));
        g.fillRect(x, 2, Math.max(1, this.x(lanes.place(stop)) - x), 5);
      });
    }
    const mark = (i, name, wide) => {
      if (i < 0) return;
      g.fillStyle = colour(name);
      g.fillRect(this.x(lanes.place(i)) - wide / 2, 0, wide, HEIGHT);
    };
    for (const lives of model.lives.values()) {
      lives.filter((life) => !life.up).forEach((life) => mark(life.i, "--down", 1.5));
    }
    mark(model.cause ?? -1, "--warn", 2);
    mark(model.violation, "--bad", 3);
    return still;
  }

  draw(cursor) {
    const { canvas, lanes } = this;
    const scale = window.devicePixelRatio || 1;
    const w = canvas.clientWidth;
    if (!this.still || this.wide !== w) {
      this.wide = w;
      this.still = this.drawStill(scale, w);
      canvas.width = this.still.width;
      canvas.height = this.still.height;
      canvas.style.height = `${HEIGHT}px`;
    }
    const g = canvas.getContext("2d");
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.drawImage(this.still, 0, 0);
    g.scale(scale, scale);
    const colour = lanes.colours();
    const [x, x2] = [this.x(lanes.from), this.x(lanes.to)];
    g.strokeStyle = colour("--accent");
    g.lineWidth = 2;
    g.strokeRect(x, 1, Math.max(4, x2 - x), HEIGHT - 2);
    g.fillStyle = colour("--fg");
    g.fillRect(this.x(lanes.place(cursor)) - 0.5, 0, 1, HEIGHT);
  }
}
