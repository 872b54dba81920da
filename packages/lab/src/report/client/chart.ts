/** One chart: a plan drawn by uPlot, kept at the width of its host, read by mouse and keyboard. */
import type UPlot from "uplot";
import type { ChartPlan, Line } from "../curves.ts";
import { formatCount, formatNumber } from "../format.ts";
import { strokeOf } from "../palette.ts";
import { logTicks, rangeOf, type Scale } from "../scale.ts";
import { drawOverlay, labelRoom } from "./overlay.ts";
import { Readout } from "./readout.ts";
import type { Theme } from "./theme.ts";

/** The script before this one defines it. */
declare const uPlot: typeof UPlot;

export class Chart {
  private readonly host: HTMLElement;
  private readonly readout: Readout;
  private readonly empty: HTMLElement;
  private plan: ChartPlan | null = null;
  private theme: Theme;
  private plot: UPlot | null = null;
  private byKeyboard = false;

  constructor(host: HTMLElement, theme: Theme, emptyText: string) {
    this.host = host;
    this.theme = theme;
    this.readout = new Readout(host);
    this.empty = document.createElement("p");
    this.empty.className = "empty";
    this.empty.textContent = emptyText;
    host.append(this.empty);
    host.tabIndex = 0;
    host.setAttribute("role", "group");
    host.addEventListener("keydown", (event) => this.onKey(event));
    host.addEventListener("blur", () => this.readout.hide());
    new ResizeObserver(() => this.resize()).observe(host);
  }

  /** Draws `plan`; what it shows is said in `description`. */
  show(plan: ChartPlan, description: string): void {
    const before = this.plan;
    this.plan = plan;
    this.host.setAttribute("aria-label", description);
    this.empty.hidden = plan.lines.length > 0;
    if (this.plot !== null && before !== null && sameShape(before, plan)) {
      this.plot.setData(dataOf(plan), !this.zoomed(before));
    } else {
      this.rebuild();
    }
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    this.rebuild();
  }

  private rebuild(): void {
    this.plot?.destroy();
    this.plot = null;
    this.readout.hide();
    if (this.plan !== null && this.plan.lines.length > 0 && this.host.clientWidth > 0) {
      this.plot = new uPlot(this.options(this.plan), dataOf(this.plan), this.host);
    }
  }

  private resize(): void {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (
      this.plot !== null &&
      width > 0 &&
      (this.plot.width !== width || this.plot.height !== height)
    ) {
      // The room for labels depends on the width too.
      this.rebuild();
    } else if (this.plot === null) {
      this.rebuild();
    }
  }

  private zoomed({ xs }: ChartPlan): boolean {
    const { min, max } = this.plot?.scales["x"] ?? {};
    return (min ?? xs[0]) !== xs[0] || (max ?? xs.at(-1)) !== xs.at(-1);
  }

  private options(plan: ChartPlan): UPlot.Options {
    const { theme } = this;
    const { clientWidth: width, clientHeight: height } = this.host;
    const axis = { stroke: theme.muted, font: theme.font, ticks: { show: false } };
    const grid = { stroke: theme.grid, width: 1 };
    return {
      width,
      height,
      padding: [10, labelRoom(plan, width, theme.font), 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false } },
      scales: {
        x: {
          time: false,
          ...distribution(plan.xScale),
          range: (_, min, max) => this.xRange(min, max),
        },
        y: { ...distribution(plan.yScale), range: (_, min, max) => this.yRange(min, max) },
      },
      axes: [
        {
          ...axis,
          grid: { ...grid, show: plan.xScale === "log" },
          label: plan.xLabel,
          labelFont: theme.font,
          labelSize: 22,
          size: 30,
          ...ticks(plan.xScale, plan.xLabel === "optimizer steps" ? formatCount : formatNumber),
        },
        { ...axis, grid, size: 58, ...ticks(plan.yScale, formatNumber) },
      ],
      series: [{}, ...plan.lines.flatMap((line) => this.seriesOf(line))],
      bands: bandsOf(plan, theme),
      hooks: {
        draw: [(u) => drawOverlay(u, this.plan ?? plan, this.theme, uPlot.pxRatio)],
        setCursor: [(u) => this.onCursor(u)],
      },
    };
  }

  private seriesOf(line: Line): UPlot.Series[] {
    const { colour, dash } = strokeOf(line.method);
    const stroke = this.theme.colours[colour] ?? this.theme.ink;
    const mean = line.emphasis === "mean";
    const edge: UPlot.Series = { points: { show: false }, width: 0, stroke: "transparent" };
    return [
      {
        stroke,
        width: mean ? 2 : 1.25,
        dash: [...dash],
        alpha: mean ? 1 : 0.75,
        spanGaps: true,
        points: {
          // A single value has no line to be seen by.
          show: (u, series) => (this.plan?.dots ?? false) || counted(u.data[series]) === 1,
          size: mean ? 6 : 4,
          fill: stroke,
        },
      },
      ...(line.low === undefined ? [] : [edge, edge]),
    ];
  }

  /** A single abscissa needs room on both sides, a logarithmic axis a margin for its points. */
  private xRange(min: number | null, max: number | null): [number, number] {
    if (min === null || max === null) {
      return [1, 10];
    }
    const log = this.plan?.xScale === "log";
    if (min === max) {
      return log ? [min / 2, max * 2] : [min - 1, max + 1];
    }
    return log && !this.isInner(min, max) ? [...rangeOf([min, max], "log")] : [min, max];
  }

  /** Where the reader zoomed in, what is visible sets the height; else the plan does. */
  private yRange(min: number | null, max: number | null): [number, number] {
    const { plan, plot } = this;
    const [low, high] = plan?.yRange ?? [0, 1];
    const x = plot?.scales["x"];
    if (plan !== null && min !== null && max !== null && this.isInner(x?.min, x?.max)) {
      return [...rangeOf([Math.max(min, low), Math.min(max, high)], plan.yScale)];
    }
    return [low, high];
  }

  private isInner(min: number | undefined, max: number | undefined): boolean {
    const { xs = [] } = this.plan ?? {};
    return (min ?? 0) > (xs[0] ?? 0) || (max ?? 0) < (xs.at(-1) ?? 0);
  }

  private onCursor(u: UPlot): void {
    const { idx = null, left } = u.cursor;
    if (this.plan === null || idx === null || (left ?? -1) < 0) {
      this.readout.hide();
    } else {
      this.readout.show(u, this.plan, idx, this.byKeyboard);
    }
  }

  /** Arrows walk along the abscissas, Home and End jump, Escape puts the readout away. */
  private onKey(event: KeyboardEvent): void {
    const { plot, plan } = this;
    if (plot === null || plan === null) {
      return;
    }
    const last = plan.xs.length - 1;
    const stride = event.shiftKey ? 10 : 1;
    const from = plot.cursor.idx ?? -1;
    const targets: Readonly<Record<string, number>> = {
      ArrowLeft: from < 0 ? last : from - stride,
      ArrowRight: from + stride,
      Home: 0,
      End: last,
    };
    const target = targets[event.key];
    if (event.key === "Escape") {
      plot.setCursor({ left: -10, top: -10 });
    } else if (target !== undefined) {
      event.preventDefault();
      const x = plan.xs[Math.min(Math.max(target, 0), last)] ?? 0;
      this.byKeyboard = true;
      plot.setCursor({ left: plot.valToPos(x, "x"), top: plot.over.clientHeight / 2 });
      this.byKeyboard = false;
    }
  }
}

function distribution(scale: Scale): UPlot.Scale {
  return scale === "log" ? { distr: 3, log: 10 } : {};
}

/** Numbers at the ticks; on a logarithmic axis at our own places, all of them labelled. */
function ticks(scale: Scale, format: (value: number) => string): UPlot.Axis {
  const values: UPlot.Axis.DynamicValues = (_, splits) => splits.map(format);
  return scale === "linear"
    ? { values }
    : {
        values,
        splits: (_u, _axis, low, high) => logTicks(low, high),
        filter: (_, splits) => splits,
      };
}

/** How many values a column has. */
function counted(column: ArrayLike<number | null | undefined> = []): number {
  let count = 0;
  for (let i = 0; i < column.length; i++) {
    count += (column[i] ?? null) === null ? 0 : 1;
  }
  return count;
}

/** The columns as uPlot takes them: x, then each line with its band's edges. */
function dataOf({ xs, lines }: ChartPlan): UPlot.AlignedData {
  const columns = lines.flatMap(({ values, low, high }) =>
    low === undefined || high === undefined ? [[...values]] : [[...values], [...low], [...high]],
  );
  return [[...xs], ...columns];
}

function bandsOf({ lines }: ChartPlan, { colours, ink }: Theme): UPlot.Band[] {
  const bands: UPlot.Band[] = [];
  // Many bands on top of each other would hide the lines.
  const alpha = lines.length > 5 ? "1c" : "2b";
  let at = 1;
  for (const { method, low } of lines) {
    if (low !== undefined) {
      const colour = colours[strokeOf(method).colour] ?? ink;
      bands.push({ series: [at + 2, at + 1], fill: `${colour}${alpha}` });
    }
    at += low === undefined ? 1 : 3;
  }
  return bands;
}

/** Whether the same series can take the new data. */
function sameShape(a: ChartPlan, b: ChartPlan): boolean {
  const shape = ({ xLabel, xScale, yScale, dots, lines }: ChartPlan): string =>
    JSON.stringify([
      xLabel,
      xScale,
      yScale,
      dots,
      lines.map((line) => [line.label, line.method, line.emphasis, line.low !== undefined]),
    ]);
  return shape(a) === shape(b);
}
