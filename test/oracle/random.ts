/** A seeded source of choices: the same seed makes the same cases on every machine. */
export interface Random {
  below (limit: number): number
  chance (probability: number): boolean
  pick<T> (list: readonly T[]): T
  some<T> (list: readonly T[], most: number): T[]
}

/** Mulberry32: 32 bits of state, good enough to choose test cases. */
export function createRandom (seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  const pick = <T>(list: readonly T[]): T => {
    const chosen = list[below(list.length)]
    if (chosen === undefined) throw new Error('nothing to pick from')
    return chosen
  }
  return {
    below,
    pick,
    chance: (probability) => next() < probability,
    some (list, most) {
      const count = 1 + below(most)
      return [...new Set(Array.from({ length: count }, () => pick(list)))]
    }
  }
}
