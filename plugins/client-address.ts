import ipaddr from 'ipaddr.js'
import { invalidRequest, type BrokerError } from '../src/core/errors.ts'

type Range = ReturnType<typeof ipaddr.parseCIDR>

/** Finds who sent a request. */
export interface ClientAddress {
  /** Whether a peer's word about other addresses counts. */
  isTrusted (address: string): boolean
  /**
   * The client's address, given the peer's and the joined X-Forwarded-For headers: the right-most
   * hop that is no trusted proxy (SEC-062). A hop that has to be judged and is no address is
   * refused. Without a trusted peer the header means nothing (SEC-061).
   */
  find (peer: string, forwardedFor: string): string | BrokerError
}

/**
 * Trusts the proxies named by address or CIDR range, and nobody else.
 *
 * @throws Error for anything that is no address or range, or that covers everyone.
 */
export function createClientAddress (trustedProxies: readonly string[]): ClientAddress {
  const ranges = trustedProxies.map(parseRange)

  function isTrusted (address: string): boolean {
    if (ranges.length === 0 || !ipaddr.isValid(address)) return false
    const parsed = ipaddr.process(address)
    return ranges.some((range) => parsed.kind() === range[0].kind() && parsed.match(range))
  }

  return {
    isTrusted,
    find (peer, forwardedFor) {
      if (forwardedFor === '' || !isTrusted(peer)) return peer
      const hops = forwardedFor.split(',')
      let client = peer
      for (let i = hops.length - 1; i >= 0; i--) {
        const hop = parseHop(hops[i] ?? '')
        if (hop === null) return invalidRequest('malformed X-Forwarded-For header')
        client = hop
        if (!isTrusted(hop)) break
      }
      return client
    }
  }
}

function parseRange (text: unknown): Range {
  const wrong = 'a trusted proxy is named by its address or CIDR range'
  if (typeof text !== 'string' || text.includes('%')) throw new Error(wrong)
  if (ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text)) {
    const address = ipaddr.process(text)
    return [address, address.kind() === 'ipv4' ? 32 : 128]
  }
  const [base = ''] = text.split('/')
  if (!ipaddr.IPv4.isValidFourPartDecimal(base) && !ipaddr.IPv6.isValid(base)) throw new Error(wrong)
  const range = ipaddr.parseCIDR(text)
  if (range[1] === 0) throw new Error('a trusted proxy range may not cover every address')
  return range
}

const withPort = /^(?:(\d{1,3}(?:\.\d{1,3}){3})|\[([0-9A-Fa-f:.]{2,45})\])(?::\d{1,5})?$/

function parseHop (text: string): string | null {
  const hop = text.trim()
  const matched = withPort.exec(hop)
  const address = matched?.[1] ?? matched?.[2] ?? hop
  return isAddress(address) ? plainAddress(address) : null
}

function isAddress (text: string): boolean {
  return !text.includes('%') && (ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text))
}

/** An address in its one spelling: IPv4 also where it came mapped into IPv6, IPv6 in its short form. */
export function plainAddress (text: string): string {
  return ipaddr.isValid(text) ? ipaddr.process(text).toString() : text
}

/** What counts as one source: an IPv4 address, or the /64 network of an IPv6 address (SEC-298). */
export function sourceOf (address: string): string {
  if (!address.includes(':') || !ipaddr.IPv6.isValid(address)) return address
  return ipaddr.IPv6.parse(address).parts.slice(0, 4).map((part) => part.toString(16)).join(':')
}
