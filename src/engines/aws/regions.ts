import { invalidRequest } from '../../core/errors.ts'

const form = /^[a-z]{2}(?:-[a-z]{1,20}){1,4}-[0-9]$/

/** Partitions whose names do not end in `amazonaws.com` (AWS General Reference, "AWS STS endpoints and quotas"). */
const suffixes: readonly (readonly [RegExp, string])[] = [
  [/^cn-/, 'amazonaws.com.cn'],
  [/^us-iso-/, 'c2s.ic.gov'],
  [/^us-isob-/, 'sc2s.sgov.gov'],
  [/^us-isof-/, 'csp.hci.ic.gov'],
  [/^eu-isoe-/, 'cloud.adc-e.uk']
]

/** A region's name, or null for anything else (SEC-162). */
export function parseRegion (text: string): string | null {
  return form.test(text) ? text : null
}

/** Checks a region that somebody configured; empty stands for "not set". @throws BrokerError `invalid_request` */
export function checkRegion (field: string, text: string): string {
  if (text !== '' && parseRegion(text) === null) throw invalidRequest(`${field} is not the name of an AWS region`)
  return text
}

/** The regional endpoint of STS. */
export function stsEndpointOf (region: string): string {
  const suffix = suffixes.find(([pattern]) => pattern.test(region))?.[1] ?? 'amazonaws.com'
  return `https://sts.${region}.${suffix}`
}
