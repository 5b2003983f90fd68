/**
 * Gives `work` so many milliseconds, and throws when they are over. What is still going on then sees the signal aborted, and goes no
 * further. One timer for all of it, which is taken back: `AbortSignal.timeout` for each command makes an error, with its stack, of
 * every one that was answered in time.
 */
export async function withDeadline<Result>(
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const deadline = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new Error(`no answer within ${timeoutMs} ms`);
      deadline.abort(error);
      reject(error);
    }, timeoutMs);
  });
  try {
    return await Promise.race([work(deadline.signal), over]);
  } finally {
    clearTimeout(timer);
  }
}
