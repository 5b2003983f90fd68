import axe, { type AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';

/** What of `serious` or `critical` impact axe finds on the page, each with the elements that it is about. `rules`: these alone. */
export async function seriousProblems(page: Page, rules?: string[]): Promise<string[]> {
  // Not as a script of the page, which its policy would refuse.
  await page.evaluate(axe.source);
  const options = { resultTypes: ['violations'], ...(rules && { runOnly: { type: 'rule', values: rules } }) };
  const { violations } = await page.evaluate<AxeResults>(`axe.run(document, ${JSON.stringify(options)})`);
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${page.url()} ${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
}
