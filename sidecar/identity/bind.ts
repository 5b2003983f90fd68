import { Refusal } from '../routes/refusal.ts';
import { type Identity, WHO } from './identity.ts';
import { type KnownUsers, whoIs } from './known-users.ts';

type Input = Record<string, unknown>;

/**
 * The input with what is known of its caller: a user's own tenant, team, department and role where the request does not say them;
 * for a service, those of the user that it names, or of the sender on a channel. Throws a `Refusal` with 403 for
 * a user that claims to be somebody else: a claim is never silently replaced.
 */
export function bind(input: Input, identity: Identity, users: KnownUsers): Input {
  switch (identity.type) {
    case 'user':
      return bindUser(input, identity);
    case 'anonymous':
      if (named(input.user_id) !== undefined) throw forbidden('user_id', 'who is not identified may not name a user');
      return input;
    default:
      return complete(input, users);
  }
}

function bindUser(input: Input, { bound, projects }: Identity): Input {
  const complete: Input = { ...input, ...bound };
  for (const field of WHO) {
    const claimed = input[field];
    if (named(claimed) === undefined || claimed === bound[field]) continue;
    // A user of no tenant may name one: where there is one organisation, users.yaml need not say which.
    if (field === 'tenant_id' && bound.tenant_id === undefined) continue;
    throw forbidden(field, `this credential is not ${JSON.stringify(claimed)}`);
  }
  const project = named(input.project_id);
  if (projects && project !== undefined && !projects.includes(project as string)) {
    throw forbidden('project_id', `this credential is not of project ${JSON.stringify(project)}`);
  }
  return complete;
}

/** A service is believed; what it leaves out, users.yaml says. */
function complete(input: Input, users: KnownUsers): Input {
  const { channel, sender_id: sender, user_id: id } = input;
  const user =
    named(id) === undefined
      ? typeof channel === 'string' && typeof sender === 'string'
        ? users.bySender(channel, sender)
        : undefined
      : typeof id === 'string'
        ? users.byId(id)
        : undefined;
  if (!user) return input;
  const known = Object.entries(whoIs(user)).filter(([field]) => named(input[field]) === undefined);
  return { ...input, ...Object.fromEntries(known) };
}

/** As for a name that is not given: null and "" are none. */
const named = (value: unknown) => (value === undefined || value === null || value === '' ? undefined : value);

const forbidden = (field: string, why: string) =>
  new Refusal(403, 'unauthorized', `input.${field}: ${why}`, [
    { code: 'forbidden', message: `input.${field}: ${why}` },
  ]);
