import { isIP } from 'node:net'
import {
  endpointAt, isListed, isLoopback, isLoopbackHost, isPublic, isPublicOrPrivate, parsePlace,
  type AddressRule, type EgressRules, type Endpoint, type Place, type Resolve
} from '../core/egress.ts'
import { invalidRequest } from '../core/errors.ts'

/** Where notifications go. */
export interface Destination {
  readonly endpoint: Endpoint
  /** With its query. */
  readonly path: string
}

const lengthMax = 2048
const form = /^(https?:\/\/[^/?]*)((?:[/?][\x21-\x7e]*)?)$/i

/**
 * Judges a URL that notifications shall go to: https and a public address; a host of the setting may
 * have a private one, or be loopback, where http will do. A development start takes loopback.
 *
 * @throws BrokerError `invalid_request` naming the field, and never what its host resolved to
 */
export function parseDestination (field: string, text: string, rules: EgressRules): Destination {
  const refuse = (why: string) => invalidRequest(`${field} is not allowed: ${why}`)
  const [, place = '', path = ''] = form.exec(text) ?? []
  const url = place === '' || text.length > lengthMax || /[#\\]/.test(text) ? null : URL.parse(text)
  if (url === null) throw refuse('it must be a URL that begins with https://, without user name and fragment')
  return { endpoint: parseEndpoint(place, rules, refuse), path: path === '' ? '/' : url.pathname + url.search }
}

/** As `parseDestination`, for what must be a scheme and a host alone. @throws BrokerError `invalid_request` */
export function parseAddress (field: string, text: string, rules: EgressRules): Endpoint {
  return parseEndpoint(text, rules, (why) => invalidRequest(`${field} is not allowed: ${why}`))
}

/**
 * Judges what the name of an endpoint leads to now, as each connection will again. A name that nobody
 * can resolve yet is let through.
 *
 * @throws BrokerError `invalid_request`, which does not say where it leads
 */
export async function checkAddresses (field: string, { hostname, mayConnect }: Endpoint, find: Resolve): Promise<void> {
  if (isIP(hostname) !== 0) return
  const addresses = await find(hostname).catch(() => [])
  if (addresses.every(({ address }) => mayConnect(address))) return
  throw invalidRequest(`${field} is not allowed: its name leads to an address that is not one to connect to`)
}

function parseEndpoint (text: string, rules: EgressRules, refuse: (why: string) => Error): Endpoint {
  const place = parsePlace(text, refuse)
  const mayConnect = addressRule(place, rules)
  if (mayConnect === null) throw refuse('the address is not one to connect to')
  return endpointAt(place, mayConnect, refuse)
}

/** Which addresses a host may have; null where the host itself is not allowed. */
function addressRule (place: Place, rules: EgressRules): AddressRule | null {
  const listed = isListed(rules, place)
  if (isLoopbackHost(place.hostname)) return listed || rules.development ? isLoopback : null
  return listed ? isPublicOrPrivate : isPublic
}
