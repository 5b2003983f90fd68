/**
 * Asks a service over HTTP; resolves with the text of an answer of success. Anything else is thrown, with a sentence that names
 * the service and has no token in it, and with the status of the answer if there was one.
 */
export type Ask = (
  path: string,
  init?: { method: string; headers: Record<string, string>; body: Uint8Array },
) => Promise<string>;

export const statusOf = (error: unknown): number | undefined => {
  const { status } = (error ?? {}) as { status?: unknown };
  return typeof status === 'number' ? status : undefined;
};

/** Whether the same may be answered otherwise a while later. */
export const isPassing = (error: unknown): boolean => {
  const status = statusOf(error);
  return status === undefined || status >= 500 || status === 429 || status === 408;
};
