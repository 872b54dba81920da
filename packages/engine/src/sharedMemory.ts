/** Whether an array lies on shared memory, which a page has only when it is cross-origin isolated. */
export function isShared({ buffer }: ArrayBufferView): boolean {
  return typeof SharedArrayBuffer !== "undefined" && buffer instanceof SharedArrayBuffer;
}
