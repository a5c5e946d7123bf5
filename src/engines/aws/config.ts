import { operation, type Operation } from '../../core/backend.ts'
import { DurationError, formatDuration, parseSeconds } from '../../core/duration.ts'
import type { EgressRules } from '../../core/egress.ts'
import { invalidRequest } from '../../core/errors.ts'
import { commaList, duration, int, strictText, text, type Input } from '../../core/fields.ts'
import { decodeRecord, encodeRecord } from '../../core/records.ts'
import { emptyRoot, rootData, rootPath, usernameTemplate, type RootConfig } from './config-record.ts'
import { parseEndpoint } from './egress.ts'
import { checkRegion } from './regions.ts'
import { updateRecord } from './update-record.ts'

/** `config/lease` as it is stored. Seconds. It is for IAM users only. */
interface LeaseConfig {
  readonly leaseSeconds: number
  readonly leaseSecondsMax: number
}

const leasePath = 'config/lease'

const rootFields = {
  access_key: text('Access key id of the broker\'s own identity in AWS'),
  secret_key: strictText('Secret key of that identity; never given back'),
  region: text('Region of AWS'),
  iam_endpoint: text('Endpoint of IAM, where it is not AWS\'s own'),
  sts_endpoint: text('Endpoint of STS, where it is not AWS\'s own'),
  sts_region: text('Region that calls to sts_endpoint are signed for'),
  sts_fallback_endpoints: commaList('Further endpoints of STS'),
  sts_fallback_regions: commaList('Regions of the further endpoints'),
  max_retries: int('Kept for clients that send it; no call that makes a credential is repeated'),
  username_template: text('Template of user and session names; only the standard one'),
  role_arn: text('Role that is assumed with a token of the broker\'s own'),
  identity_token_audience: text('Audience of the broker\'s own tokens'),
  identity_token_ttl: duration('TTL of the broker\'s own tokens')
}

/** `config/root` and `config/lease` (contract 6.1, 6.3). */
export function createConfigOperations ({ egress }: { readonly egress: EgressRules }): Operation[] {
  return [
    operation({
      verb: 'read', path: 'config/root', access: 'capability',
      summary: 'Reads the connection to AWS, without its secret key',
      fields: {},
      async run (call) {
        const [entry] = await call.store.get([rootPath])
        return entry ? { kind: 'data', data: rootData(decodeRecord<RootConfig>(entry.value)) } : { kind: 'none' }
      }
    }),
    operation({
      verb: 'write', path: 'config/root', access: 'capability',
      summary: 'Sets the fields of the connection to AWS that are sent',
      fields: rootFields,
      async run (call, input) {
        checkTemplate(input.username_template)
        await updateRecord<RootConfig>(call, rootPath, {
          change: (root) => checkRoot(merge(root ?? emptyRoot, input), egress)
        })
        return { kind: 'none' }
      }
    }),
    operation({
      verb: 'read', path: 'config/lease', access: 'capability', summary: 'Reads the TTLs of IAM users', fields: {},
      async run (call) {
        const [entry] = await call.store.get([leasePath])
        if (!entry) return { kind: 'none' }
        const { leaseSeconds, leaseSecondsMax } = decodeRecord<LeaseConfig>(entry.value)
        return { kind: 'data', data: { lease: formatDuration(leaseSeconds), lease_max: formatDuration(leaseSecondsMax) } }
      }
    }),
    operation({
      verb: 'write', path: 'config/lease', access: 'capability', summary: 'Sets the TTLs of IAM users',
      fields: { lease: text('TTL'), lease_max: text('Longest TTL') },
      async run (call, input) {
        if (!input.lease) throw invalidRequest('\'lease\' is a required parameter')
        if (!input.lease_max) throw invalidRequest('\'lease_max\' is a required parameter')
        const record: LeaseConfig = {
          leaseSeconds: secondsOf('lease', input.lease), leaseSecondsMax: secondsOf('lease_max', input.lease_max)
        }
        await call.store.commit([{ op: 'put', key: call.store.key(leasePath), value: encodeRecord(record) }])
        return { kind: 'none' }
      }
    })
  ]
}

function secondsOf (field: string, raw: string): number {
  try {
    return parseSeconds(raw)
  } catch (error) {
    if (error instanceof DurationError) throw invalidRequest(`Invalid ${field}: ${error.message}`)
    throw error
  }
}

function checkTemplate (template: string | undefined): void {
  if (template === undefined || template === '' || template === usernameTemplate) return
  throw invalidRequest('unable to initialize username template: only the standard template is supported')
}

/** The stored configuration with the fields that were sent (contract 12.4). */
function merge (root: RootConfig, input: Input<typeof rootFields>): RootConfig {
  return {
    accessKey: input.access_key ?? root.accessKey,
    secretKey: secretOf(root, input),
    region: input.region ?? root.region,
    iamEndpoint: input.iam_endpoint ?? root.iamEndpoint,
    stsEndpoint: input.sts_endpoint ?? root.stsEndpoint,
    stsRegion: input.sts_region ?? root.stsRegion,
    stsFallbackEndpoints: input.sts_fallback_endpoints ?? root.stsFallbackEndpoints,
    stsFallbackRegions: input.sts_fallback_regions ?? root.stsFallbackRegions,
    maxRetries: input.max_retries ?? root.maxRetries,
    roleArn: input.role_arn ?? root.roleArn,
    identityTokenAudience: input.identity_token_audience ?? root.identityTokenAudience,
    identityTokenTtlSeconds: input.identity_token_ttl ?? root.identityTokenTtlSeconds
  }
}

/**
 * An empty secret clears the stored one only together with an empty access key: a client that reads
 * and writes back has no secret to send.
 */
function secretOf (root: RootConfig, input: Input<typeof rootFields>): string {
  const { access_key: accessKey, secret_key: secretKey } = input
  if (secretKey === undefined) return root.secretKey
  return secretKey === '' && accessKey !== '' ? root.secretKey : secretKey
}

/** Refuses what could never be used, or would send signed requests to strangers (SEC-161, SEC-162). */
function checkRoot (root: RootConfig, egress: EgressRules): RootConfig {
  if (root.stsFallbackEndpoints.length !== root.stsFallbackRegions.length) {
    throw invalidRequest('fallback endpoints and fallback regions must be the same length')
  }
  if (root.identityTokenAudience !== '') {
    if (root.accessKey !== '') throw invalidRequest('only one of \'access_key\' or \'identity_token_audience\' can be set')
    if (root.roleArn === '') throw invalidRequest('missing required \'role_arn\' when \'identity_token_audience\' is set')
  }
  checkRegion('region', root.region)
  checkRegion('sts_region', root.stsRegion)
  for (const region of root.stsFallbackRegions) checkRegion('sts_fallback_regions', region)
  if (root.iamEndpoint !== '') parseEndpoint('iam_endpoint', root.iamEndpoint, 'iam', egress)
  if (root.stsEndpoint !== '') parseEndpoint('sts_endpoint', root.stsEndpoint, 'sts', egress)
  for (const url of root.stsFallbackEndpoints) parseEndpoint('sts_fallback_endpoints', url, 'sts', egress)
  return root
}
