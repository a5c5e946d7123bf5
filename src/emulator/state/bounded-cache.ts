/** Remembers at most `max` values; the one that was put longest ago goes first. */
export interface BoundedCache<T> {
  get (key: string): T | undefined
  put (key: string, value: T): void
}

export function createBoundedCache<T> (max: number): BoundedCache<T> {
  const values = new Map<string, T>()
  return {
    get: (key) => values.get(key),
    put (key, value) {
      if (values.size >= max) {
        const oldest = values.keys().next()
        if (oldest.done !== true) values.delete(oldest.value)
      }
      values.set(key, value)
    }
  }
}
