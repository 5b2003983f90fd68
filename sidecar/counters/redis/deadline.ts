/**
 * Gives `work` so many milliseconds, and throws when they are over. What is still going on then asks `inTime` before
 * it goes further.
 */
export async function withDeadline<Result>(
  timeoutMs: number,
  work: (inTime: () => boolean) => Promise<Result>,
): Promise<Result> {
  let late = false;
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      late = true;
      reject(new Error(`no answer within ${timeoutMs} ms`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([work(() => !late), deadline]);
  } finally {
    clearTimeout(timer);
  }
}
