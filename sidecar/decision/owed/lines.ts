import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { planSchema } from '../../../schemas/policy-io.ts';
import { usageEventSchema } from '../../../schemas/usage-event.ts';
import type { Owed } from '../../counters/contract.ts';
import { recordJson, recordLine, splitLines } from '../../counters/embedded/record-line.ts';

/** A file of what is owed: this line, then one grant a line, each with its checksum. */
export const HEADER = 'openclaw-rating allowed while away, version 1\n';

/** No input, text, key or header is part of it: names and amounts, as in a usage event. */
const owedSchema = z.strictObject({
  v: z.literal(1),
  decisionId: z.string().min(1),
  plan: planSchema,
  event: usageEventSchema.partial().required({ tenant_id: true }),
  requestId: z.string().optional(),
  fingerprint: z.string(),
  decidedAt: z.int().min(0),
  lost: z.strictObject({ key: z.string(), call: z.string(), index: z.int().min(1) }).optional(),
});

export function owedLine(owed: Owed): Buffer {
  const { decidedAt, decisionId, event, fingerprint, lost, plan, requestId } = owed;
  const line = { v: 1, decisionId, plan, event, requestId, fingerprint, decidedAt, lost } satisfies LineJson;
  return Buffer.from(recordLine(JSON.stringify(line)));
}

type LineJson = z.input<typeof owedSchema>;

export interface ReadLines {
  /** Undefined: the file begins as another one, and nothing of it was read. */
  grants: { owed: Owed; bytes: number }[] | undefined;
  /** Lines that are whole and cannot be read. */
  damaged: { offset: number; reason: string; line: Buffer }[];
  /** Bytes of a line that was not written to its end: nobody was told of it. */
  torn: number;
}

export async function readLines(path: string): Promise<ReadLines> {
  const { lines, rest } = splitLines(await readFile(path));
  const [first, ...others] = lines;
  if (first === undefined) return { grants: [], damaged: [], torn: rest.length };
  if (`${first}\n` !== HEADER) return { grants: undefined, damaged: [], torn: 0 };
  const grants = [];
  const damaged = [];
  let offset = first.length + 1;
  for (const line of others) {
    const owed = parsed(line);
    if (typeof owed === 'string') damaged.push({ offset, reason: owed, line });
    else grants.push({ owed, bytes: line.length + 1 });
    offset += line.length + 1;
  }
  return { grants, damaged, torn: rest.length };
}

/** The grant of a line, or what is wrong with it. */
function parsed(line: Buffer): Owed | string {
  const json = recordJson(line);
  if (json === undefined) return 'the checksum is another one';
  const result = owedSchema.safeParse(JSON.parse(json));
  if (result.success) {
    const { v: _, ...owed } = result.data;
    return owed;
  }
  const [issue] = result.error.issues;
  return `${issue?.path.join('.')}: ${issue?.message}`;
}
