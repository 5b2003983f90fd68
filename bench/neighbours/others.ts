import { ledgerBytes } from './ledger-growth.ts';
import { overridesRatio } from './overrides.ts';
import type { Tools } from './tools.ts';
import { workerFigures } from './worker-figures.ts';

/** What is not measured by asking a server: figures by their names. */
export const OTHERS: { name: string; measure: (tools: Tools) => Promise<Record<string, number>> }[] = [
  { name: 'overrides', measure: async (tools) => ({ overrides: await overridesRatio(tools) }) },
  { name: 'worker', measure: workerFigures },
  { name: 'ledger-bytes', measure: async (tools) => ({ 'ledger-bytes': await ledgerBytes(tools) }) },
];
