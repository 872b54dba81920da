/** Why a peer does not run here, in words. */

export function whyAbsent(error: unknown, packages: readonly string[]): string {
  const missing =
    error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND";
  return missing
    ? `not installed; npm install ${packages.join(" ")}`
    : error instanceof Error
      ? error.message
      : String(error);
}
