/** The values under the cursor: a box beside it, and a sentence for screen readers. */
import type UPlot from "uplot";
import type { ChartPlan, Line } from "../curves.ts";
import { formatCount, formatMetric, formatRate, formatSeconds } from "../format.ts";
import { strokeOf } from "../palette.ts";
import { element, swatch } from "./dom.ts";

/** Lines that the box names at most. */
const rowLimit = 12;

export class Readout {
  private readonly box: HTMLElement = element("div", "tip");
  private readonly spoken: HTMLElement = element("div", "spoken");

  constructor(host: HTMLElement) {
    this.box.hidden = true;
    this.spoken.setAttribute("aria-live", "polite");
    host.append(this.box, this.spoken);
  }

  hide(): void {
    this.box.hidden = true;
  }

  /** Shows the values at index `idx`; `aloud` where the reader came by keyboard. */
  show(u: UPlot, plan: ChartPlan, idx: number, aloud: boolean): void {
    const x = plan.xs[idx];
    const rows = plan.lines
      .flatMap((line) => {
        const value = line.values[idx] ?? null;
        return value === null ? [] : [{ line, value }];
      })
      .toSorted((a, b) => (plan.better === "higher" ? b.value - a.value : a.value - b.value));
    if (x === undefined || rows.length === 0) {
      this.hide();
      return;
    }
    const title = abscissa(plan, x);
    this.box.replaceChildren(
      element("strong", "", title),
      ...rows.slice(0, rowLimit).map(({ line, value }) => row(plan, line, value, idx)),
      ...(rows.length > rowLimit ? [`and ${rows.length - rowLimit} more`] : []),
    );
    this.box.hidden = false;
    this.place(u, x);
    if (aloud) {
      const values = rows.map(
        ({ line, value }) => `${line.label} ${formatMetric(value, plan.unit)}`,
      );
      this.spoken.textContent = `${title}: ${values.join("; ")}`;
    }
  }

  /** Beside the cursor, on the side that has more room. */
  private place(u: UPlot, x: number): void {
    const plotLeft = u.over.offsetLeft;
    const cursor = u.valToPos(x, "x");
    const right = cursor < u.over.clientWidth / 2;
    const left = right ? plotLeft + cursor + 14 : plotLeft + cursor - 14 - this.box.offsetWidth;
    this.box.style.left = `${Math.max(0, left)}px`;
    this.box.style.top = `${u.over.offsetTop + 8}px`;
  }
}

function row(plan: ChartPlan, line: Line, value: number, idx: number): HTMLElement {
  const { colour, dash } = strokeOf(line.method);
  const [low, high] = [line.low?.[idx] ?? null, line.high?.[idx] ?? null];
  const text = formatMetric(value, plan.unit);
  const band =
    low === null || high === null
      ? ""
      : ` [${formatMetric(low, plan.unit)}, ${formatMetric(high, plan.unit)}]`.replaceAll(" %", "");
  return element(
    "div",
    "",
    swatch(colour, dash),
    element("span", "", line.label),
    element("span", "", `${text}${band}`),
  );
}

function abscissa({ xLabel }: ChartPlan, x: number): string {
  switch (xLabel) {
    case "learning rate":
      return `rate ${formatRate(x)}`;
    case "seconds of training":
      return formatSeconds(x);
    case "optimizer steps":
      return `step ${formatCount(x)}`;
  }
}
