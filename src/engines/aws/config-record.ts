import type { JsonObject } from '../../core/json.ts'

/** `config/root` as it is stored: the whole record is sealed. Texts are empty where nothing is set. */
export interface RootConfig {
  readonly accessKey: string
  /** A secret; no answer ever holds it. */
  readonly secretKey: string
  readonly region: string
  readonly iamEndpoint: string
  readonly stsEndpoint: string
  readonly stsRegion: string
  readonly stsFallbackEndpoints: readonly string[]
  readonly stsFallbackRegions: readonly string[]
  /** Kept and shown for clients that send it. A call to STS is made once, whatever it says. */
  readonly maxRetries: number
  readonly roleArn: string
  readonly identityTokenAudience: string
  readonly identityTokenTtlSeconds: number
}

/** `config/root` before its first write. */
export const emptyRoot: RootConfig = {
  accessKey: '',
  secretKey: '',
  region: '',
  iamEndpoint: '',
  stsEndpoint: '',
  stsRegion: '',
  stsFallbackEndpoints: [],
  stsFallbackRegions: [],
  maxRetries: -1,
  roleArn: '',
  identityTokenAudience: '',
  identityTokenTtlSeconds: 3600
}

/** Where `config/root` is kept, relative to its mount. */
export const rootPath = 'config/root'

/** The one template of names that there is, in the text by which clients know it (contract 6.6). */
export const usernameTemplate = '{{ if (eq .Type "STS") }}{{ printf "vault-%s-%s"  (unix_time) (random 20) | truncate 32 }}' +
  '{{ else }}{{ printf "vault-%s-%s-%s" (printf "%s-%s" (.DisplayName) (.PolicyName) | truncate 42) (unix_time) (random 20) | truncate 64 }}{{ end }}'

/** What a read answers (contract 6.1): everything but the secret key. */
export function rootData (root: RootConfig): JsonObject {
  return {
    access_key: root.accessKey,
    region: root.region,
    iam_endpoint: root.iamEndpoint,
    sts_endpoint: root.stsEndpoint,
    sts_region: root.stsRegion,
    sts_fallback_endpoints: root.stsFallbackEndpoints,
    sts_fallback_regions: root.stsFallbackRegions,
    max_retries: root.maxRetries,
    username_template: usernameTemplate,
    role_arn: root.roleArn,
    identity_token_audience: root.identityTokenAudience,
    identity_token_ttl: root.identityTokenTtlSeconds
  }
}
