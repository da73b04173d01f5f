// What all drawing has in common: strokes, shapes, and words that keep out of each other's way.

const MOST = 250; // more labels than this, and nobody reads them
const HALF = 5.4; // half the height of a line

const TERM_COLOURS = 8;
/** The colour of a term, or of a transaction: neighbours differ. */
export const cycle = (number) => `--c${(Number(number) % TERM_COLOURS) + 1}`;

/** A role, where there is little room. */
export const SHORT = { Leader: "leader", Candidate: "candidate", PreCandidate: "pre-cand.", Follower: "follower" };

/** The colour of a role. */
export const ROLE = { Leader: "--leader", Candidate: "--candidate", PreCandidate: "--candidate", Follower: "--follower" };

/** What a transaction, or whoever cleans up behind others, is called. */
export function clientName(model, client) {
  if (model.txns.has(client)) return `txn ${client}`;
  return model.txns.size > 0 ? "cleaner" : `client ${client}`;
}

export function line(g, x, y, x2, y2) {
  g.beginPath();
  g.moveTo(x, y);
  g.lineTo(x2, y2);
  g.stroke();
}

export function cross(g, x, y, r) {
  line(g, x - r, y - r, x + r, y + r);
  line(g, x - r, y + r, x + r, y - r);
}

export function diamond(g, x, y, r) {
  g.beginPath();
  g.moveTo(x, y - r);
  g.lineTo(x + r, y);
  g.lineTo(x, y + r);
  g.lineTo(x - r, y);
  g.fill();
}

export function arrowHead(g, x, y, x2, y2, size) {
  const angle = Math.atan2(y2 - y, x2 - x);
  g.beginPath();
  g.moveTo(x2, y2);
  g.lineTo(x2 - size * Math.cos(angle - 0.4), y2 - size * Math.sin(angle - 0.4));
  g.lineTo(x2 - size * Math.cos(angle + 0.4), y2 - size * Math.sin(angle + 0.4));
  g.fill();
}

/** Words in a frame: each where there are none yet, in the order in which they are asked for. */
export class Labels {
  constructor(g, ground) {
    Object.assign(this, { g, ground, taken: [] });
  }

  /** Whether there are no words yet between these corners. */
  free(x, y, x2, y2) {
    return !this.taken.some(([a, b, c, d]) => x < c && x2 > a && y < d && y2 > b);
  }

  /**
   * Writes `text` at a height, from `x` on, in the colour that is set; cut short if it is wider than `room`. `bare`: without
   * the seam that keeps it readable on lines. Returns whether it was written.
   */
  put(text, x, y, room, { bare = false } = {}) {
    const { g, taken } = this;
    if (taken.length > MOST || room < 14) return false;
    const whole = g.measureText(text).width;
    const width = Math.min(whole, room);
    if (!this.free(x, y - HALF, x + width, y + HALF)) return false;
    if (width < whole) {
      const fits = Math.floor((text.length * room) / whole) - 1;
      if (fits < 4) return false;
      text = `${text.slice(0, fits)}\u2026`;
    }
    taken.push([x - 2, y - HALF, x + width + 4, y + HALF]);
    if (!bare) {
      g.strokeStyle = this.ground;
      g.lineWidth = 3;
      g.lineJoin = "round";
      g.strokeText(text, x, y);
    }
    g.fillText(text, x, y);
    return true;
  }
}
