/** Colours for the canvas, read from the style sheet, so that light and dark are decided in one place. */
import { lightColours } from "../palette.ts";

export interface Theme {
  readonly ink: string;
  readonly muted: string;
  readonly grid: string;
  readonly card: string;
  readonly colours: readonly string[];
  /** The page's font at 12 px, as a canvas takes it. */
  readonly font: string;
}

export function readTheme(): Theme {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  return {
    ink: read("--ink"),
    muted: read("--muted"),
    grid: read("--grid"),
    card: read("--card"),
    colours: lightColours.map((_, i) => read(`--c${i}`)),
    font: `12px ${style.fontFamily}`,
  };
}

/** Calls `changed` when the reader's system turns dark or light. */
export function onThemeChange(changed: () => void): void {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}
