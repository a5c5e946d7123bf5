const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** What IAM puts before the 17 characters of a unique id. */
export type UniqueIdPrefix = 'AIDA' | 'AROA' | 'AGPA' | 'ANPA' | 'AIPA'

/** `AROA…`: 21 characters; `random` gives 17 bytes, of each of which five bits are used. */
export function uniqueId (prefix: UniqueIdPrefix, random: Uint8Array): string {
  return prefix + letters(random, 17)
}

/**
 * `AKIA…` (long-term) or `ASIA…` (session): 20 characters that hold the account, as real ones
 * do: 40 bits behind the first one of the base32 part. `random` gives at least 7 bytes.
 */
export function accessKeyId (prefix: 'AKIA' | 'ASIA', accountId: string, random: Uint8Array): string {
  const head = (1n << 47n) | (BigInt(accountId) << 7n) | BigInt((random[0] ?? 0) & 0x7f)
  let bits = head << 32n
  for (let i = 1; i <= 4; i++) bits |= BigInt(random[i] ?? 0) << BigInt(8 * (4 - i))
  let text = ''
  for (let i = 0; i < 16; i++) {
    text = base32.charAt(Number(bits & 31n)) + text
    bits >>= 5n
  }
  return prefix + text
}

/** The account that an access key id names, or null when it is not an access key id. */
export function findAccountOf (accessKeyId: string): string | null {
  if (!/^A[KS]IA[A-Z2-7]{16}$/.test(accessKeyId)) return null
  let bits = 0n
  for (const letter of accessKeyId.slice(4)) bits = (bits << 5n) | BigInt(base32.indexOf(letter))
  const account = (bits >> 39n) & ((1n << 40n) - 1n)
  return account < 1_000_000_000_000n ? account.toString().padStart(12, '0') : null
}

/** `i-0123456789abcdef0` and its like: a prefix and 17 hexadecimal digits. */
export function ec2Id (prefix: string, random: Uint8Array): string {
  return `${prefix}-0${Buffer.from(random.subarray(0, 8)).toString('hex')}`
}

function letters (random: Uint8Array, count: number): string {
  let text = ''
  for (let i = 0; i < count; i++) text += base32.charAt((random[i] ?? 0) & 31)
  return text
}
