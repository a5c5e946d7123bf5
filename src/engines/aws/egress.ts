import {
  endpointAt, isListed, isLoopback, isLoopbackHost, isPublic, isPublicOrPrivate, parsePlace,
  type AddressRule, type EgressRules, type Endpoint, type Place
} from '../../core/egress.ts'
import { invalidRequest } from '../../core/errors.ts'
import { parseRegion } from './regions.ts'

const awsSuffixes = '(?:amazonaws\\.com(?:\\.cn)?|api\\.aws|c2s\\.ic\\.gov|sc2s\\.sgov\\.gov|csp\\.hci\\.ic\\.gov|cloud\\.adc-e\\.uk)'
const awsNames = {
  sts: new RegExp(`^sts(?:-fips)?(?:\\.([a-z0-9-]+))?\\.${awsSuffixes}$`),
  iam: new RegExp(`^iam(?:-fips)?(?:\\.([a-z0-9-]+))?\\.${awsSuffixes}$`)
}

/**
 * Judges an endpoint that somebody configured: an address or a name of AWS or of the setting, by
 * https; a development start also takes loopback. A text without a scheme means https. Listed hosts
 * may have private addresses; an own name of AWS is listed too where it resolves to a VPC endpoint.
 *
 * @throws BrokerError `invalid_request` naming the field and never what the text resolved to.
 */
export function parseEndpoint (field: string, text: string, service: 'sts' | 'iam', rules: EgressRules): Endpoint {
  const refuse = (why: string) => invalidRequest(`${field} is not allowed: ${why}`)
  const place = parsePlace(text, refuse)
  const mayConnect = addressRule(place, service, rules)
  if (mayConnect === null) throw refuse('the host is neither a name of AWS nor one of the allowed hosts')
  return endpointAt(place, mayConnect, refuse)
}

/** Which addresses a host may have; null where the host itself is not allowed. */
function addressRule (place: Place, service: 'sts' | 'iam', rules: EgressRules): AddressRule | null {
  if (rules.development && isLoopbackHost(place.hostname)) return isLoopback
  if (isListed(rules, place)) return isPublicOrPrivate
  return place.port === 443 && isAwsName(place.hostname, service) ? isPublic : null
}

function isAwsName (hostname: string, service: 'sts' | 'iam'): boolean {
  const match = awsNames[service].exec(hostname)
  const region = match?.[1]
  return match !== null && (region === undefined || parseRegion(region) !== null || region === 'us-gov')
}
