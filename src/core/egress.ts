import { lookup as resolve, type LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'

/** Whom the broker may send a request to, besides what its caller allows (SEC-161, SEC-367). */
export interface EgressRules {
  /** Allows loopback addresses, there also by plain http. */
  readonly development: boolean
  /** Hosts that somebody listed, as `host` (port 443) or `host:port`. */
  readonly allowedHosts: readonly string[]
}

/** Scheme, host and port of a URL. */
export interface Place {
  readonly secure: boolean
  /** A name in lower case or an address, without brackets. */
  readonly hostname: string
  readonly port: number
  /** What the `Host` header says. */
  readonly host: string
}

/** Judges an address that is about to be connected to. */
export type AddressRule = (address: string) => boolean

/** A place that a request may go to. */
export interface Endpoint extends Place {
  readonly mayConnect: AddressRule
}

/** More than a name of 253 characters with scheme and port needs. */
const lengthMax = 300
const form = /^(?:(https?):\/\/)?([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?\/?$/i

/** Reads `https://host:port` and nothing more; without a scheme it means https. @throws what `refuse` makes of a reason. */
export function parsePlace (text: string, refuse: (why: string) => Error): Place {
  const match = text.length > lengthMax ? null : form.exec(text)
  const written = match?.[2]?.toLowerCase()
  if (match === null || written === undefined) throw refuse('it must be a URL of a host and nothing else')
  const secure = match[1]?.toLowerCase() !== 'http'
  if (canonicalHost(written) !== written) throw refuse('the host is not written in its plain form')
  const port = match[3] === undefined ? secure ? 443 : 80 : Number(match[3])
  if (port < 1 || port > 65535) throw refuse('the port is out of range')
  const usual = port === (secure ? 443 : 80)
  return { secure, hostname: written.replace(/^\[|\]$/g, ''), port, host: usual ? written : `${written}:${port}` }
}

/**
 * A place with the rule that its addresses are held to. Plain http is for loopback alone.
 *
 * @throws what `refuse` makes of a reason
 */
export function endpointAt (place: Place, mayConnect: AddressRule, refuse: (why: string) => Error): Endpoint {
  if (!place.secure && mayConnect !== isLoopback) throw refuse('it must use https')
  // No name is looked up for an address, so this is the only time that it is judged.
  if (isIP(place.hostname) !== 0 && !mayConnect(place.hostname)) throw refuse('the address is not one to connect to')
  return { ...place, mayConnect }
}

/** A host as a URL prints it: decimal, octal and mapped addresses change, and so give themselves away. */
function canonicalHost (host: string): string | null {
  return host.endsWith('.') ? null : URL.parse(`https://${host}/`)?.hostname ?? null
}

/** Whether somebody listed a place. */
export function isListed ({ allowedHosts }: EgressRules, { hostname, port }: Place): boolean {
  return allowedHosts.some((allowed) => {
    const text = allowed.toLowerCase().replace(/[[\]]/g, '')
    return text === `${hostname}:${port}` || (text === hostname && port === 443)
  })
}

const globalIpv6 = ipaddr.IPv6.parseCIDR('2000::/3')

function rangeOf (address: string): string {
  if (!ipaddr.isValid(address)) return 'invalid'
  const parsed = ipaddr.process(address)
  const range = parsed.range()
  // What is global is allocated from 2000::/3 (RFC 4291 section 2.5.4); `::7f00:1` is no place of its own.
  const isOther = range === 'unicast' && parsed instanceof ipaddr.IPv6 && !parsed.match(globalIpv6)
  return isOther ? 'reserved' : range
}

/** Whether a host is this machine, by its name or address. */
export function isLoopbackHost (hostname: string): boolean {
  return hostname === 'localhost' || isLoopback(hostname)
}

export function isLoopback (address: string): boolean {
  return rangeOf(address) === 'loopback'
}

export function isPublic (address: string): boolean {
  return rangeOf(address) === 'unicast'
}

/** Never loopback or link-local. */
export function isPublicOrPrivate (address: string): boolean {
  return ['unicast', 'private', 'uniqueLocal', 'carrierGradeNat'].includes(rangeOf(address))
}

/** Thrown by `checkedLookup` where a name leads to an address that is not allowed. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
}

/** Finds the addresses of a name. */
export type Resolve = (hostname: string) => Promise<LookupAddress[]>

function resolveAll (hostname: string): Promise<LookupAddress[]> {
  return new Promise((found, failed) => {
    resolve(hostname, { all: true }, (error, addresses) => {
      if (error === null) found(addresses)
      else failed(error)
    })
  })
}

/**
 * Finds addresses for many who ask, `atOnce` names at a time: a name whose servers are silent holds
 * a thread that files need too (FLT-056). Those who ask for the same name at once share an answer.
 */
export function createResolve (atOnce: number, find: Resolve = resolveAll): Resolve {
  const underWay = new Map<string, Promise<LookupAddress[]>>()
  const waiting: (() => void)[] = []
  let busy = 0

  async function take (hostname: string): Promise<LookupAddress[]> {
    if (busy >= atOnce) await new Promise<void>((turn) => { waiting.push(turn) })
    else busy++
    try {
      return await find(hostname)
    } finally {
      underWay.delete(hostname)
      const next = waiting.shift()
      if (next === undefined) busy--
      else next()
    }
  }

  return (hostname) => {
    const known = underWay.get(hostname) ?? take(hostname)
    underWay.set(hostname, known)
    return known
  }
}

/**
 * Resolves names for sockets, and refuses a name when any of its addresses is not allowed. What it
 * gives is what is connected to, so nothing can change in between.
 */
export function checkedLookup (mayConnect: AddressRule, find: Resolve = resolveAll): LookupFunction {
  return (hostname, options, callback) => {
    find(hostname).then((addresses) => {
      const [first] = addresses
      if (first === undefined) {
        callback(new AddressRefused('the name has no address'), '')
      } else if (!addresses.every(({ address }) => mayConnect(address))) {
        callback(new AddressRefused('the name leads to an address that is not allowed'), '')
      } else if (options.all === true) {
        callback(null, addresses)
      } else {
        callback(null, first.address, first.family)
      }
    }, (error: NodeJS.ErrnoException) => { callback(error, '') })
  }
}
