export interface Served {
  readonly url: string;
  readonly close: () => void;
}

export function serve(options: {
  readonly html: string;
  readonly entries: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
  readonly port?: number;
}): Promise<Served>;

export function servePage(port?: number): Promise<Served>;
