/** The charts of a page with their switches: what both the report and the studio show. */
import { type CurveChoice, curvePlan, ratePlan, type View } from "../curves.ts";
import { plural } from "../format.ts";
import { strokeOf } from "../palette.ts";
import { metricTitle } from "../words.ts";
import { Chart } from "./chart.ts";
import { byId, element, swatch } from "./dom.ts";
import { onThemeChange, readTheme } from "./theme.ts";

export class Dashboard {
  private readonly hidden = new Set<string>();
  private readonly loss: Chart;
  private readonly metric: Chart;
  private readonly rates: Chart;
  private view: View | null = null;
  /** Null until the reader chose: then tuning is shown while there is nothing else. */
  private phase: CurveChoice["phase"] | null = null;
  private against: CurveChoice["against"] = "step";
  private keys = "";

  constructor() {
    const theme = readTheme();
    this.loss = new Chart(byId("chart-loss"), theme, "No points yet");
    this.metric = new Chart(byId("chart-metric"), theme, "Not evaluated yet");
    this.rates = new Chart(byId("chart-rates"), theme, "No tuning trial has ended yet");
    onThemeChange(() => {
      const changed = readTheme();
      for (const chart of [this.loss, this.metric, this.rates]) {
        chart.setTheme(changed);
      }
    });
    for (const input of document.querySelectorAll<HTMLInputElement>(".choice input")) {
      // A page that is opened again may come with the switches as they were left.
      input.checked = input.defaultChecked;
      input.addEventListener("change", () => this.choose(input.name, input.value));
    }
  }

  show(view: View): void {
    this.view = view;
    const seeds = view.trials.some((trial) => trial.spec.phase === "seed");
    const phase = this.phase ?? (seeds ? "seed" : "tune");
    const { against, hidden } = this;
    this.showKeys(view);
    for (const input of document.querySelectorAll<HTMLInputElement>("input[name=phase]")) {
      input.checked = input.value === phase;
    }
    const title = metricTitle(view.metric.name, phase);
    byId("metric-title").textContent = title;
    byId("rates-caption").textContent = `${metricTitle(view.metric.name, "tune")} after tuning`;
    const lossPlan = curvePlan(view, { quantity: "trainLoss", against, phase, hidden });
    const metricPlan = curvePlan(view, { quantity: "metric", against, phase, hidden });
    const what = `of ${plural(lossPlan.lines.length, "line")} against ${lossPlan.xLabel}; arrow keys read values`;
    this.loss.show(lossPlan, `Training loss ${what}`);
    this.metric.show(metricPlan, `${title} ${what}`);
    this.rates.show(
      ratePlan(view, hidden),
      `${title} against learning rate; arrow keys read values`,
    );
    byId("curves-hint").textContent = hint(phase, lossPlan.yScale === "log");
  }

  private choose(name: string, value: string): void {
    if (name === "against" && (value === "step" || value === "seconds")) {
      this.against = value;
    } else if (value === "tune" || value === "seed") {
      this.phase = value;
    }
    this.redraw();
  }

  private redraw(): void {
    if (this.view !== null) {
      this.show(this.view);
    }
  }

  /** One button a method, rebuilt only when the methods change, so that focus is not lost. */
  private showKeys({ methods }: View): void {
    const keys = JSON.stringify(methods.map(({ name, title }) => [name, title]));
    if (keys === this.keys) {
      return;
    }
    this.keys = keys;
    byId("keys").replaceChildren(
      ...methods.map(({ name, title }, index) => {
        const { colour, dash } = strokeOf(index);
        const button = element("button", "", swatch(colour, dash), title);
        button.type = "button";
        button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
        button.addEventListener("click", () => {
          if (!this.hidden.delete(name)) {
            this.hidden.add(name);
          }
          button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
          this.redraw();
        });
        return element("li", "", button);
      }),
    );
  }
}

function hint(phase: CurveChoice["phase"], log: boolean): string {
  const reading =
    "Drag across a chart to zoom in, double-click to see it whole; with a chart in focus, arrow keys read its values.";
  if (phase === "tune") {
    return `Each line is one tuning trial, named by its learning rate. ${reading}`;
  }
  const mean = log
    ? "Mean over finished seed runs (geometric for the loss)"
    : "Mean over finished seed runs";
  return `${mean} with its 95 % Student interval. Runs that did not finish stay out of the mean and are drawn alone: a cross where one diverged or failed, a bar where it was interrupted. ${reading}`;
}
