/** Requests per second by name, each name with a bucket of its own that holds one second's worth. */
export interface RateLimit {
  /** Whether one more request may pass at this instant. */
  take (name: string, nowMs: number): boolean
  configure (perSecond: number | null): void
  perSecond (): number | null
}

/** null: no limit. */
export function createRateLimit (initial: number | null): RateLimit {
  let limit = initial
  const buckets = new Map<string, { tokens: number, atMs: number }>()
  return {
    perSecond: () => limit,
    configure (perSecond) {
      limit = perSecond
      buckets.clear()
    },
    take (name, nowMs) {
      if (limit === null) return true
      const bucket = buckets.get(name) ?? { tokens: limit, atMs: nowMs }
      const tokens = Math.min(limit, bucket.tokens + Math.max(0, nowMs - bucket.atMs) * limit / 1000)
      buckets.set(name, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs })
      return tokens >= 1
    }
  }
}
