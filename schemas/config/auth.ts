import { isIP } from 'node:net';
import { z } from 'zod';

/** Signatures with a key pair. Not `none`, and no shared secret: whoever can check those can also forge them. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const;

const claim = z.string().min(1);

const httpUrl = z.string().refine((value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol), {
  error: 'must be a URL that begins with https:// or http://',
});

/** An address, or a network such as `10.0.0.0/8`. */
const network = z.string().refine(isNetwork, { error: 'must be an IP address, or a network such as "10.0.0.0/8"' });

const authenticationSchema = z.strictObject({
  enabled: z.boolean().default(true),
  /** `jwt`: tokens signed with keys of `jwks_file` or `jwks_url`. `oauth`: those of `issuer`, found by OIDC discovery. */
  method: z.enum(['jwt', 'api_key', 'oauth']).default('api_key'),
  /** Whether who cannot be identified is refused with 401. The service's own OPA_TOKEN is accepted beside it. */
  require_auth: z.boolean().default(true),
  /** Whether a call of the service that names no user is refused too. */
  require_user: z.boolean().default(false),
  user_id_claim: claim.default('sub'),
  /** Claims that say the caller's tenant and role; without them, `users.yaml` says. */
  tenant_claim: claim.optional(),
  role_claim: claim.optional(),
  issuer: httpUrl.optional(),
  audience: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
    .transform((value) => (typeof value === 'string' ? [value] : value))
    .optional(),
  /** A file of keys, relative to the configuration folder; `jwks.json` there is found by itself. */
  jwks_file: z.string().min(1).optional(),
  jwks_url: httpUrl.optional(),
  algorithms: z
    .array(z.enum(ALGORITHMS, { error: `must be one of ${ALGORITHMS.join(', ')}` }))
    .min(1)
    .default(['RS256', 'PS256', 'ES256', 'EdDSA']),
  clock_tolerance_seconds: z.int().min(0).max(300).default(30),
  /** How long the keys of a server that is away go on. */
  jwks_max_age_minutes: z.int().min(1).max(10_080).default(1_440),
  trusted_proxy: z
    .strictObject({
      /** Who is believed when it says in a header who is calling. */
      addresses: z.array(network).min(1),
      header: z.string().min(1).default('X-Forwarded-Email'),
    })
    .optional(),
});

/** `config/auth.yaml`: how callers show who they are. Without the file: by the service's token alone. */
export const authSchema = z.strictObject({
  authentication: authenticationSchema
    .refine(({ jwks_file, jwks_url }) => !(jwks_file && jwks_url), {
      error: 'jwks_file and jwks_url are both set; the keys come from one of them',
    })
    .refine(({ enabled, issuer, method }) => !enabled || method !== 'oauth' || issuer !== undefined, {
      error: 'method oauth needs issuer: the URL below which /.well-known/openid-configuration is found',
    })
    .default({
      ...authenticationSchema.parse({}),
      enabled: false,
      require_auth: false,
    }),
});

export type AuthConfig = z.infer<typeof authSchema>['authentication'];

function isNetwork(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  const version = isIP(address);
  if (version === 0 || more.length) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}
