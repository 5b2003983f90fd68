import { createHash } from 'node:crypto';
import { z } from 'zod';

/** Names go into keys and usage events. */
const name = z
  .string()
  .min(1)
  .refine((value) => Buffer.byteLength(value) <= 256, { error: 'must not be longer than 256 bytes' })
  .refine((value) => !value.includes('\u0000'), { error: 'must not contain NUL' });

const SHORTEST_KEY = 8;

const userSchema = z
  .strictObject({
    id: name,
    /** Hashed when it is read; never logged, shown, or given to a policy. */
    api_key: z
      .string({ error: 'must be a text' })
      .min(SHORTEST_KEY, { error: `must have at least ${SHORTEST_KEY} characters` })
      .regex(/^\S*$/, { error: 'must have no white space in it, as it is sent in a header' })
      .optional(),
    /** The same as its SHA-256, in hexadecimal. */
    api_key_sha256: z
      .string({ error: 'must be a SHA-256 in hexadecimal' })
      .regex(/^[0-9a-f]{64}$/i, { error: 'must be a SHA-256: 64 hexadecimal digits' })
      .optional(),
    email: z.email({ error: 'must be an e-mail address' }).optional(),
    role: name.optional(),
    team: name.optional(),
    department: name.optional(),
    projects: z.array(name).default([]),
    tenant: name.optional(),
    /** One of `teams.yaml`. */
    tier: name.optional(),
    /** Who the user is on a channel: `slack:U123`. */
    channels: z
      .array(z.string().regex(/^[^:]+:.+$/, { error: 'must be a channel and a sender there, such as "slack:U123"' }))
      .default([]),
  })
  .transform(({ api_key, api_key_sha256, ...user }) => ({
    ...user,
    key_digests: [
      ...(api_key === undefined ? [] : [createHash('sha256').update(api_key).digest('hex')]),
      ...(api_key_sha256 === undefined ? [] : [api_key_sha256.toLowerCase()]),
    ],
  }));

/** `config/users.yaml`: who there is. Without the file nobody is known by name. */
export const usersSchema = z
  .strictObject({
    user_identification: z
      .strictObject({
        /** `api_key`: by their keys below. `channel`: by what the service says of the sender, and no key is looked at. */
        method: z.enum(['api_key', 'channel']).default('api_key'),
        /** Of users who name none. Without it such a user may speak for any tenant. */
        tenant: name.optional(),
      })
      .default({ method: 'api_key' }),
    users: z.array(userSchema).default([]),
  })
  .superRefine(({ users }, context) => {
    const once = (what: string, field: string, valuesOf: (user: User) => string[], shown: boolean) => {
      const seen = new Map<string, number>();
      users.forEach((user, index) => {
        // Of a user that is wrong itself, not all is there.
        for (const value of valuesOf(user)) {
          const first = seen.get(value);
          if (first === undefined) seen.set(value, index);
          else {
            const which = shown ? ` ${JSON.stringify(value)}` : '';
            const message = `${what}${which} is given twice, first for users[${first}] (${users[first]?.id})`;
            context.addIssue({ code: 'custom', path: ['users', index, field], message });
          }
        }
      });
    };
    once('the user', 'id', (user) => [user.id], true);
    once('this key', 'api_key', (user) => user.key_digests ?? [], false);
    once('the e-mail address', 'email', (user) => (user.email ? [user.email.toLowerCase()] : []), true);
    once('the channel identity', 'channels', (user) => user.channels ?? [], true);
  })
  .transform(({ user_identification, users }) => {
    const { tenant } = user_identification;
    return { user_identification, users: tenant === undefined ? users : users.map((user) => ({ tenant, ...user })) };
  });

export type UsersConfig = z.infer<typeof usersSchema>;
export type User = UsersConfig['users'][number];
