type Work = () => Promise<unknown> | unknown;

const pending: Work[] = [];

/** What is to be done when the test file is over. */
export function atFileEnd(work: Work): void {
  pending.push(work);
}

/** Does it, the latest first, also what comes after a failure; throws the first failure. */
export async function endFile(): Promise<void> {
  const failures: unknown[] = [];
  for (const work of pending.splice(0).reverse()) {
    try {
      await work();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length) throw failures[0];
}
