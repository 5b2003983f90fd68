import { isWildcard } from './models.ts';
import type { ProvidersFile } from './providers.ts';

interface Problem {
  path: (string | number)[];
  message: string;
}

/** What is wrong in `providers.yaml` though each of its values is right, and what would be right. */
export const providerProblems = (file: ProvidersFile, mostBudgetRules: number): Problem[] => [
  ...missingLimits(file),
  ...badWildcards(file),
  ...claimedTwice(file),
  ...twoForOneProvider(file),
  ...badChains(file),
  ...badRules(file, mostBudgetRules),
];

function missingLimits({ accounts, tiers }: ProvidersFile): Problem[] {
  return Object.entries(accounts).flatMap(([name, { limits, provider, tier }]) => {
    const path = ['accounts', name];
    const known = Object.hasOwn(tiers, provider) ? Object.keys(tiers[provider] ?? {}) : [];
    if (tier !== undefined && !known.includes(tier)) {
      const right = known.length ? `there is ${known.join(', ')}` : `tiers has none of ${provider}`;
      return [
        { path: [...path, 'tier'], message: `there is no tier ${JSON.stringify(tier)} of ${provider}; ${right}` },
      ];
    }
    if (tier !== undefined || Object.keys(limits).some((key) => key !== 'timezone')) return [];
    const right = known.length ? `write tier: ${known.join(' | ')}, or limits` : 'write limits: { … }';
    return [{ path, message: `has neither a tier nor limits; ${right}` }];
  });
}

function badWildcards({ accounts }: ProvidersFile): Problem[] {
  return namesIn(accounts)
    .filter(({ claim }) => claim.slice(0, -1).includes('*'))
    .map(({ path }) => ({ path, message: 'may have one * only, at its end' }));
}

function claimedTwice({ accounts }: ProvidersFile): Problem[] {
  const claims = new Map<string, string>();
  return namesIn(accounts).flatMap(({ claim, name, path }) => {
    const first = claims.get(claim);
    claims.set(claim, first ?? name);
    if (first === undefined) return [];
    return [{ path, message: `${claim} belongs to ${first} already, and a model belongs to one account` }];
  });
}

const namesIn = (accounts: ProvidersFile['accounts']) =>
  Object.entries(accounts).flatMap(([name, { models }]) =>
    models.map((claim, i) => ({ claim, name, path: ['accounts', name, 'models', i] })),
  );

/** Of two accounts of one provider it must be told whose its models are. */
function twoForOneProvider({ accounts }: ProvidersFile): Problem[] {
  const open = new Map<string, string>();
  return Object.entries(accounts).flatMap(([name, { models, provider }]) => {
    if (models.length) return [];
    const first = open.get(provider);
    open.set(provider, first ?? name);
    if (first === undefined) return [];
    const message = `claims all models of ${provider}, as ${first} does; name in models which are its own`;
    return [{ path: ['accounts', name], message }];
  });
}

function badChains({ models }: ProvidersFile): Problem[] {
  return Object.entries(models).flatMap(([id, { fallback }]) => {
    const path = ['models', id, 'fallback'];
    return (fallback?.models ?? []).flatMap((model, i, all) => {
      if (model === id) return [{ path, message: `${id} cannot stand in for itself; leave it out` }];
      if (all.indexOf(model) !== i) return [{ path, message: `${model} is named twice; leave the second out` }];
      return isWildcard(model) ? [{ path, message: `${model} must be the id of one model, without *` }] : [];
    });
  });
}

function badRules({ routing: { rules } }: ProvidersFile, mostBudgetRules: number): Problem[] {
  const empty = rules.flatMap(({ when: { input_tokens_below: below, input_tokens_from: from } }, i) => {
    if (below === undefined || from === undefined || from < below) return [];
    const message = `no prompt has ${from} tokens or more and less than ${below}; input_tokens_from must be the smaller one`;
    return [{ path: ['routing', 'rules', i, 'when'], message }];
  });
  const byBudget = rules.filter(({ when }) => when.budget_used_percent_from !== undefined).length;
  if (byBudget <= mostBudgetRules) return empty;
  const message = `${byBudget} rules have budget_used_percent_from, and ${mostBudgetRules} at most may`;
  return [...empty, { path: ['routing', 'rules'], message }];
}
