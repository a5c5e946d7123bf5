import { lookup as resolve, type LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { invalidRequest } from '../../core/errors.ts'
import { parseRegion } from './regions.ts'

/** Whom the broker may send a signed request to (SEC-161, SEC-367). */
export interface EgressRules {
  /** Allows loopback addresses, there also by plain http. */
  readonly development: boolean
  /**
   * Hosts beyond AWS's own names, as `host` (port 443) or `host:port`. They may have private
   * addresses. An own name of AWS is listed too where it resolves to a VPC endpoint.
   */
  readonly allowedHosts: readonly string[]
}

/** A place that a request may go to. */
export interface Endpoint {
  readonly secure: boolean
  /** A name in lower case or an address, without brackets. */
  readonly hostname: string
  readonly port: number
  /** What the `Host` header says. */
  readonly host: string
  /** Judges the address that is about to be connected to. */
  readonly mayConnect: (address: string) => boolean
}

const form = /^(?:(https?):\/\/)?([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?\/?$/i
const awsSuffixes = '(?:amazonaws\\.com(?:\\.cn)?|api\\.aws|c2s\\.ic\\.gov|sc2s\\.sgov\\.gov|csp\\.hci\\.ic\\.gov|cloud\\.adc-e\\.uk)'
const awsNames = {
  sts: new RegExp(`^sts(?:-fips)?(?:\\.([a-z0-9-]+))?\\.${awsSuffixes}$`),
  iam: new RegExp(`^iam(?:-fips)?(?:\\.([a-z0-9-]+))?\\.${awsSuffixes}$`)
}

/**
 * Judges an endpoint that somebody configured: an address or a name of AWS or of the setting, by
 * https; a development start also takes loopback. A text without a scheme means https.
 *
 * @throws BrokerError `invalid_request` naming the field and never what the text resolved to.
 */
export function parseEndpoint (field: string, text: string, service: 'sts' | 'iam', rules: EgressRules): Endpoint {
  const refuse = (why: string) => invalidRequest(`${field} is not allowed: ${why}`)
  const match = form.exec(text)
  const written = match?.[2]?.toLowerCase()
  if (match === null || written === undefined) throw refuse('it must be a URL of a host and nothing else')
  const secure = match[1]?.toLowerCase() !== 'http'
  if (canonicalHost(written) !== written) throw refuse('the host is not written in its plain form')
  const hostname = written.replace(/^\[|\]$/g, '')
  const port = match[3] === undefined ? secure ? 443 : 80 : Number(match[3])
  if (port < 1 || port > 65535) throw refuse('the port is out of range')
  const mayConnect = addressRule(hostname, port, service, rules)
  if (mayConnect === null) throw refuse('the host is neither a name of AWS nor one of the allowed hosts')
  if (!secure && mayConnect !== isLoopback) throw refuse('it must use https')
  if (isIP(hostname) !== 0 && !mayConnect(hostname)) throw refuse('the address is not one to connect to')
  const usual = port === (secure ? 443 : 80)
  return { secure, hostname, port, host: usual ? written : `${written}:${port}`, mayConnect }
}

/** A host as a URL prints it: decimal, octal and mapped addresses change, and so give themselves away. */
function canonicalHost (host: string): string | null {
  return host.endsWith('.') ? null : URL.parse(`https://${host}/`)?.hostname ?? null
}

/** Which addresses a host may have; null where the host itself is not allowed. */
function addressRule (hostname: string, port: number, service: 'sts' | 'iam', rules: EgressRules) {
  if (rules.development && (hostname === 'localhost' || isLoopback(hostname))) return isLoopback
  const listed = rules.allowedHosts.some((allowed) => {
    const text = allowed.toLowerCase()
    return text === `${hostname}:${port}` || (text === hostname && port === 443)
  })
  if (listed) return isPublicOrPrivate
  return port === 443 && isAwsName(hostname, service) ? isPublic : null
}

function isAwsName (hostname: string, service: 'sts' | 'iam'): boolean {
  const match = awsNames[service].exec(hostname)
  const region = match?.[1]
  return match !== null && (region === undefined || parseRegion(region) !== null || region === 'us-gov')
}

function rangeOf (address: string): string {
  return ipaddr.isValid(address) ? ipaddr.process(address).range() : 'invalid'
}

function isLoopback (address: string): boolean {
  return rangeOf(address) === 'loopback'
}

function isPublic (address: string): boolean {
  return rangeOf(address) === 'unicast'
}

function isPublicOrPrivate (address: string): boolean {
  return ['unicast', 'private', 'uniqueLocal', 'carrierGradeNat'].includes(rangeOf(address))
}

/** Thrown by `checkedLookup` where a name leads to an address that is not allowed. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
}

/**
 * Resolves names for sockets, and refuses a name when any of its addresses is not allowed. What it
 * gives is what is connected to, so nothing can change in between.
 */
export function checkedLookup (mayConnect: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      const addresses: LookupAddress[] = error === null ? found : []
      const [first] = addresses
      if (error !== null || first === undefined) {
        callback(error ?? new AddressRefused('the name has no address'), '')
      } else if (!addresses.every(({ address }) => mayConnect(address))) {
        callback(new AddressRefused('the name leads to an address that is not allowed'), '')
      } else if (options.all === true) {
        callback(null, addresses)
      } else {
        callback(null, first.address, first.family)
      }
    })
  }
}

/** Refuses rules that could not be kept. @throws Error */
export function checkRules ({ allowedHosts }: EgressRules): void {
  const fault = allowedHosts.find((host) => !/^[a-z0-9.:-]+$/i.test(host))
  if (fault !== undefined) throw new Error(`an allowed host of AWS must be a host name, with or without a port, and not ${fault}`)
}
