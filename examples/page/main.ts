/** LeNet learns MNIST in a worker of this page: its loss, its test accuracy, and what it takes digits for. */

import uPlot from "uplot";
import { type Digits, fetchDigits, PIXELS } from "./digits.ts";
import type { Command, Event } from "./messages.ts";

const STEPS = 600;
const SHOWN = 20;

const byId = (id: string): HTMLElement => document.getElementById(id) as HTMLElement; // of index.html
const status = byId("status");
const [start, stop] = [byId("start") as HTMLButtonElement, byId("stop") as HTMLButtonElement];
const ink = getComputedStyle(document.documentElement).color;
const steps: number[] = [];
const losses: number[] = [];

const chart = new uPlot(
  {
    width: 640,
    height: 280,
    scales: { x: { time: false, range: [0, STEPS] }, y: { distr: 3 } },
    axes: [
      { label: "step", stroke: ink },
      { label: "loss of a batch of 32", stroke: ink },
    ],
    series: [{ label: "step" }, { label: "loss", stroke: "#2a78d6", width: 2 }],
  },
  [steps, losses],
  byId("chart"),
);

const worker = new Worker(new URL("./worker.js", location.href), { type: "module" });
const send = (command: Command): void => worker.postMessage(command);

worker.addEventListener("message", ({ data }: MessageEvent<Event>) => {
  switch (data.kind) {
    case "ready":
      status.textContent = `compiled for ${data.backend} in ${Math.round(data.compileMs)} ms`;
      break;
    case "step":
      steps.push(data.step);
      losses.push(data.loss);
      chart.setData([steps, losses]);
      byId("step").textContent = `${data.step} of ${STEPS}`;
      byId("speed").textContent = `${data.ms.toFixed(1)} ms`;
      break;
    case "tested":
      byId("accuracy").textContent = `${(100 * data.accuracy).toFixed(1)} %`;
      showPredictions(data.predictions);
      break;
    case "ended":
      status.textContent = `ended after step ${data.step}`;
      setRunning(false);
      break;
    case "failed":
      status.textContent = data.message;
      setRunning(false);
      break;
  }
});

start.addEventListener("click", () => {
  steps.length = 0;
  losses.length = 0;
  status.textContent = "reading MNIST, compiling the model";
  setRunning(true);
  send({ kind: "start", learningRate: 0.01, steps: STEPS, assets: `${location.origin}/ort/` });
});
stop.addEventListener("click", () => send({ kind: "stop" }));

function setRunning(running: boolean): void {
  start.disabled = running;
  stop.disabled = !running;
}

const digits: Digits = await fetchDigits("t10k");
const figures = Array.from({ length: SHOWN }, (_, index) => {
  const figure = document.createElement("figure");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [28, 28];
  const context = canvas.getContext("2d");
  const image = new ImageData(28, 28);
  for (let i = 0; i < PIXELS; i++) {
    const value = digits.pixels[index * PIXELS + i] ?? 0;
    image.data.set([value, value, value, 255], 4 * i);
  }
  context?.putImageData(image, 0, 0);
  const caption = document.createElement("figcaption");
  caption.textContent = "?";
  figure.append(canvas, caption);
  byId("digits").append(figure);
  return { caption, label: digits.labels[index] };
});

function showPredictions(predictions: readonly number[]): void {
  predictions.forEach((guess, index) => {
    const figure = figures[index];
    if (figure !== undefined) {
      figure.caption.textContent = String(guess);
      figure.caption.className = guess === figure.label ? "right" : "wrong";
    }
  });
}
