/** The few things this page asks of the document. */

/** The element that the page's HTML promises. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) {
    throw new Error(`byId: the page must have an element "${id}", got none`);
  }
  return found;
}

/** A new element with a class and children; text becomes text, never HTML. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

/** A short piece of a method's line, as in the tables. */
export function swatch(colour: number, dash: readonly number[]): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  const line = document.createElementNS(space, "line");
  setAll(picture, { class: "swatch", viewBox: "0 0 22 10", "aria-hidden": "true" });
  setAll(line, { class: `c${colour}`, x1: "1", x2: "21", y1: "5", y2: "5" });
  line.setAttribute("stroke-dasharray", dash.join(" "));
  picture.append(line);
  return picture;
}

function setAll(target: Element, attributes: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(attributes)) {
    target.setAttribute(name, value);
  }
}
