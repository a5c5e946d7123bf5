import { createHash, randomBytes } from 'node:crypto'

/** Where ids, jitter and chances come from. */
export interface RandomSource {
  bytes (count: number): Buffer
  /** A number in [0, 1). */
  fraction (): number
  uuid (): string
}

const blockBytes = 4096

/**
 * Random bytes from the operating system, or, when a seed is given, a sequence that is the
 * same at every start with that seed. A seeded source is for tests: it is predictable.
 */
export function createRandomSource (seed?: string): RandomSource {
  let block: Buffer = Buffer.alloc(0)
  let used = 0
  let counter = 0

  const nextBlock = (): Buffer => {
    if (seed === undefined) return randomBytes(blockBytes)
    return createHash('shake256', { outputLength: blockBytes }).update(`${seed}\n${counter++}`).digest()
  }

  const bytes = (count: number): Buffer => {
    if (count > blockBytes) throw new RangeError(`at most ${blockBytes} bytes at once`)
    if (used + count > block.length) {
      block = nextBlock()
      used = 0
    }
    used += count
    return block.subarray(used - count, used)
  }

  return {
    bytes,
    fraction: () => bytes(6).readUIntBE(0, 6) / 2 ** 48,
    uuid () {
      const hex = bytes(16).toString('hex')
      const variant = '89ab'[Number.parseInt(hex.charAt(16), 16) & 3]
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
    }
  }
}
