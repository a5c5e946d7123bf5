import { isoTime } from '../../core/iso-time.ts'
import type { JsonObject } from '../../core/json.ts'
import type { LiveToken } from '../../tokens/token-store.ts'

/** A token as look-ups show it (contract 3.4). `id` is its text, empty where it was found by its accessor. */
export function tokenInfo ({ token, usesLeft }: Pick<LiveToken, 'token' | 'usesLeft'>, id: string, nowMs: number): JsonObject {
  const { expiresAtMs, lastRenewalMs } = token
  return {
    id,
    accessor: token.accessor,
    // A kept record is frozen, and JSON.stringify takes a detour for a list that is.
    policies: [...token.policies],
    path: token.path,
    meta: token.metadata,
    display_name: token.displayName,
    num_uses: usesLeft ?? 0,
    orphan: token.orphan,
    creation_time: Math.floor(token.issuedAtMs / 1000),
    creation_ttl: token.creationTtlSeconds,
    ttl: expiresAtMs === null ? 0 : Math.max(0, Math.floor((expiresAtMs - nowMs) / 1000)),
    expire_time: expiresAtMs === null ? null : isoTime(expiresAtMs),
    explicit_max_ttl: token.explicitMaxTtlSeconds,
    entity_id: '',
    type: 'service',
    ...(expiresAtMs !== null && { issue_time: isoTime(token.issuedAtMs), renewable: token.renewable }),
    ...(lastRenewalMs !== null && {
      last_renewal: isoTime(lastRenewalMs),
      last_renewal_time: Math.floor(lastRenewalMs / 1000)
    }),
    ...(token.periodSeconds > 0 && { period: token.periodSeconds }),
    ...(token.role !== null && { role: token.role }),
    ...(token.boundCidrs.length > 0 && { bound_cidrs: token.boundCidrs })
  }
}
