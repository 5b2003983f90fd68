import { type GatewayRequest, gatewayRequestSchema } from './gateway-request.ts';

/** A line of a body that is no request, counted from 1, and why; never what it says. */
interface Unreadable {
  line: number;
  message: string;
}

export interface Rows {
  requests: GatewayRequest[];
  unreadable: Unreadable[];
}

/** Reads NDJSON; empty lines are passed over. */
export function readRows(text: string): Rows {
  const rows: Rows = { requests: [], unreadable: [] };
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const parsed = gatewayRequestSchema.safeParse(parseJson(line));
    if (parsed.success) rows.requests.push(parsed.data);
    else rows.unreadable.push({ line: index + 1, message: whatIsWrong(parsed.error.issues[0]) });
  }
  return rows;
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Zod's own messages may quote what was sent. */
const whatIsWrong = (issue: { path: PropertyKey[]; code?: string | undefined } | undefined) => {
  const [field] = issue?.path ?? [];
  if (field !== undefined) return `"${String(field)}" is missing or wrong`;
  return issue?.code === 'unrecognized_keys' ? 'it has fields that are not known' : 'it is no JSON object';
};
