export function servePage(
  port?: number,
): Promise<{ readonly url: string; readonly close: () => void }>;
