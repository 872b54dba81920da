/** Sees what a reader would not: complaints of the page, requests it makes, what its canvases hold. */
import type { Page } from "playwright-core";

export interface Witness {
  /** Console errors and warnings, exceptions, failed requests; refusals by the content policy are among them. */
  readonly complaints: string[];
  /** Addresses that were asked for, `data:` left out. */
  readonly requests: string[];
}

export function witnessOf(page: Page): Witness {
  const witness: Witness = { complaints: [], requests: [] };
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") {
      witness.complaints.push(message.text());
    }
  });
  page.on("pageerror", (error) => witness.complaints.push(String(error)));
  page.on("requestfailed", (request) => witness.complaints.push(`failed: ${request.url()}`));
  page.on("request", (request) => {
    if (!request.url().startsWith("data:")) {
      witness.requests.push(request.url());
    }
  });
  return witness;
}

export interface Drawing {
  /** Share of pixels that are not transparent. */
  readonly ink: number;
  readonly colours: number;
  /** Changes with any pixel (FNV-1a over the bytes). */
  readonly hash: number;
}

/** The canvas inside the element with this id. */
export function drawingIn(page: Page, id: string): Promise<Drawing> {
  return page.locator(`#${id} canvas`).evaluate((element) => {
    const canvas = element as HTMLCanvasElement;
    // Read from a copy: reading from the page's own canvas would change how Chromium draws it.
    const copy = new OffscreenCanvas(canvas.width, canvas.height);
    const context = copy.getContext("2d", { willReadFrequently: true })!;
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const words = new Uint32Array(data.buffer);
    const colours = new Set<number>();
    let drawn = 0;
    let hash = 2166136261;
    for (const word of words) {
      if (word >>> 24 > 0) {
        drawn++;
        colours.add(word);
      }
      hash = Math.imul(hash ^ word, 16777619);
    }
    return { ink: drawn / words.length, colours: colours.size, hash };
  });
}
