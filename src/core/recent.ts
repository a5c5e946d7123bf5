/** A bounded map that remembers what was used lately. */
export interface Recent<K, V> {
  get (name: K): V | undefined
  set (name: K, value: V): void
}

/**
 * Makes a map of two generations of `max` entries each: what was not asked for during two
 * generations is forgotten. Cheaper than the order that an LRU keeps.
 */
export function createRecent<K, V extends object | string> (max: number): Recent<K, V> {
  let young = new Map<K, V>()
  let old = new Map<K, V>()

  function set (name: K, value: V): void {
    if (young.size >= max) {
      old = young
      young = new Map()
    }
    young.set(name, value)
  }

  return {
    get (name) {
      const known = young.get(name)
      if (known !== undefined) return known
      const former = old.get(name)
      if (former !== undefined) set(name, former)
      return former
    },
    set
  }
}
