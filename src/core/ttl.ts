import { formatDurationShort } from './duration.ts'
import { BrokerError } from './errors.ts'

/** What decides how long a token or lease may live. Seconds; 0 means "not set". */
export interface TtlTerms {
  /** Asked for by the caller of a renewal. */
  readonly incrementSeconds?: number
  /** Of the role or the create call. */
  readonly ttlSeconds?: number
  readonly periodSeconds?: number
  /** Of the role. */
  readonly ttlSecondsMax?: number
  /** Counted from the issue, whatever happens. */
  readonly explicitMaxTtlSeconds?: number
  /** Effective values of the mount, never 0. */
  readonly mountTtlSecondsDefault: number
  readonly mountTtlSecondsMax: number
  readonly issuedAtMs: number
  readonly nowMs: number
}

/**
 * The TTL granted from now and the warnings that go with it (contract 3.6). A period reaches as
 * far as it says at each renewal; all else is capped at issue time plus the effective maximum.
 *
 * @throws BrokerError `failed` `past the max TTL, cannot renew` when nothing is left.
 */
export function grantTtl (terms: TtlTerms): { ttlSeconds: number, warnings: string[] } {
  const { explicitMaxTtlSeconds: explicit = 0, periodSeconds = 0, nowMs, issuedAtMs } = terms
  const warnings: string[] = []
  const bounds = [terms.mountTtlSecondsMax, terms.ttlSecondsMax ?? 0, explicit]
  const max = Math.min(...bounds.filter((seconds) => seconds > 0))
  const elapsed = Math.floor((nowMs - issuedAtMs) / 1000)
  let ttlSeconds: number
  if (periodSeconds > 0) {
    ttlSeconds = Math.min(periodSeconds, max)
    if (ttlSeconds < periodSeconds) {
      warnings.push(`period of "${formatDurationShort(periodSeconds)}" exceeded the effective max_ttl of "${formatDurationShort(max)}"; period value is capped accordingly`)
    }
    if (explicit === 0) return { ttlSeconds, warnings }
    return cap(ttlSeconds, explicit, explicit - elapsed, warnings)
  }
  ttlSeconds = terms.incrementSeconds || terms.ttlSeconds || terms.mountTtlSecondsDefault
  return cap(ttlSeconds, max, max - elapsed, warnings)
}

function cap (ttlSeconds: number, max: number, remaining: number, warnings: string[]) {
  if (remaining <= 0) throw new BrokerError('failed', 'past the max TTL, cannot renew')
  if (ttlSeconds <= remaining) return { ttlSeconds, warnings }
  warnings.push(`TTL of "${formatDurationShort(ttlSeconds)}" exceeded the effective max_ttl of "${formatDurationShort(max)}"; TTL value is capped accordingly`)
  return { ttlSeconds: remaining, warnings }
}
