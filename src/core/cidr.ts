import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { invalidRequest } from './errors.ts'

/** A block of addresses. IPv4-mapped IPv6 is IPv4 (RFC 4291 2.5.5.2), so one address has one form. */
export interface Block {
  readonly bytes: readonly number[]
  readonly prefix: number
}

/**
 * A block as clients write it: `10.0.0.0/8`, `fd00::/8`; null for anything else, such as a zone id,
 * leading zeros or a mask in dots. Bits beyond the prefix are ignored. `bare` also takes an address
 * alone, as a block of one.
 */
export function parseBlock (text: string, form: 'cidr' | 'bare' = 'cidr'): Block | null {
  const slash = text.indexOf('/')
  const address = parseAddress(slash === -1 ? text : text.slice(0, slash))
  if (address === null) return null
  const { bytes, mapped } = address
  if (slash === -1) return form === 'bare' ? { bytes, prefix: bytes.length * 8 } : null
  const digits = text.slice(slash + 1)
  if (!/^(?:0|[1-9]\d{0,2})$/.test(digits)) return null
  const prefix = Number(digits) - (mapped ? 96 : 0)
  return prefix < 0 || prefix > bytes.length * 8 ? null : { bytes, prefix }
}

/**
 * Whether an address lies in one of the blocks or addresses. Nothing lies in an empty list, and
 * what does not parse contains and is contained in nothing.
 */
export function addressInBlocks (address: string, blocks: readonly string[]): boolean {
  const single = parseAddress(address)
  if (single === null) return false
  const inner = { bytes: single.bytes, prefix: single.bytes.length * 8 }
  return blocks.some((text) => contains(parseBlock(text, 'bare'), inner))
}

/** Whether something that is bound to these addresses, if to any, may be used from this one. */
export function mayComeFrom ({ boundCidrs }: { readonly boundCidrs: readonly string[] }, address: string): boolean {
  return boundCidrs.length === 0 || addressInBlocks(address, boundCidrs)
}

/** Whether each inner block lies within one of the outer ones. Blocks that only together cover it do not count. */
export function blocksWithin (inner: readonly string[], outer: readonly string[]): boolean {
  const outerBlocks = outer.map((text) => parseBlock(text, 'bare'))
  return inner.every((text) => {
    const block = parseBlock(text, 'bare')
    return block !== null && outerBlocks.some((candidate) => contains(candidate, block))
  })
}

/** A block's text without the `/32` or `/128` of a single address, as tokens show it (contract 2.1). */
export function shortBlock (text: string): string {
  return text.includes(':') ? text.replace(/\/128$/, '') : text.replace(/\/32$/, '')
}

/** A single address as a block, as secret_ids have it; a block as it is. */
export function wholeBlock (text: string): string {
  return text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`
}

/**
 * Addresses and blocks that a token shall be bound to, as they are kept and shown (contract 2.1, 3.3).
 *
 * @throws BrokerError `invalid_request` `error parsing address "<text>": <cause>`.
 */
export function parseBoundCidrs (texts: readonly string[]): string[] {
  return texts.map((text) => {
    if (parseBlock(text, 'bare') === null) {
      throw invalidRequest(`error parsing address ${JSON.stringify(text)}: neither an IP address nor a CIDR block`)
    }
    return shortBlock(text)
  })
}

function contains (outer: Block | null, inner: Block): boolean {
  if (outer === null || outer.bytes.length !== inner.bytes.length || outer.prefix > inner.prefix) return false
  return outer.bytes.every((byte, at) => {
    const bits = Math.min(8, Math.max(0, outer.prefix - at * 8))
    const mask = 0xff << (8 - bits) & 0xff
    return (byte & mask) === ((inner.bytes[at] ?? 0) & mask)
  })
}

/** `isIP` first: the parser would also take octal and short forms, which others read differently. */
function parseAddress (text: string): { bytes: readonly number[], mapped: boolean } | null {
  if (isIP(text) === 0 || text.includes('%')) return null
  const parsed = ipaddr.parse(text)
  if (parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress()) {
    return { bytes: parsed.toIPv4Address().toByteArray(), mapped: true }
  }
  return { bytes: parsed.toByteArray(), mapped: false }
}
