/** An identity that outlives its process; `browser` in package.json puts identityFile.browser.ts in its place. */

import { open, readFile, stat } from "node:fs/promises";
import { formatIdentity, generateIdentity, type Identity, parseIdentity } from "./identity.ts";

/**
 * The identity in a file, which is written with a new one where it is missing; only its owner may read it (mode 0600).
 *
 * @throws RangeError for a file that others may read, TypeError for one that holds no Ed25519 key.
 */
export async function loadIdentity(path: string): Promise<Identity> {
  try {
    const file = await open(path, "wx", 0o600);
    try {
      const identity = await generateIdentity();
      await file.writeFile(formatIdentity(identity));
      await file.sync();
      return identity;
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
      throw error;
    }
  }
  const { mode } = await stat(path);
  // Windows keeps no such bits.
  if (process.platform !== "win32" && (mode & 0o077) !== 0) {
    throw new RangeError(
      `loadIdentity: only the owner may read ${path}, got mode ${(mode & 0o777).toString(8)}; chmod 600 it, or take a new identity`,
    );
  }
  return parseIdentity(await readFile(path));
}
