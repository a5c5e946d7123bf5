/** An AWS identity, as the broker signs with it. A secret: never in a log, error or record. */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Absent for the long-term keys of a user. */
  readonly sessionToken?: string
}

/** What AssumeRole is asked (AWS STS API reference, AssumeRole). Empty lists and nulls are not sent. */
export interface AssumeRoleCall {
  readonly action: 'AssumeRole'
  readonly roleArn: string
  readonly sessionName: string
  readonly durationSeconds: number
  readonly policy: string | null
  readonly policyArns: readonly string[]
  readonly externalId: string | null
  readonly tags: readonly (readonly [name: string, value: string])[]
  readonly sourceIdentity: string | null
}

/** What GetFederationToken is asked. */
export interface FederationCall {
  readonly action: 'GetFederationToken'
  readonly name: string
  readonly durationSeconds: number
  readonly policy: string | null
  readonly policyArns: readonly string[]
}

/** What GetSessionToken is asked. */
export interface SessionCall {
  readonly action: 'GetSessionToken'
  readonly durationSeconds: number
  readonly mfa: { readonly serialNumber: string, readonly code: string } | null
}

/** One call that mints a credential. */
export type StsCall = AssumeRoleCall | FederationCall | SessionCall

/** What STS answered, not yet judged: any of it may be missing or wrong. */
export interface StsAnswer {
  readonly accessKeyId: string | null
  readonly secretAccessKey: string | null
  readonly sessionToken: string | null
  readonly expiresAtMs: number | null
  /** Of the assumed role or the federated user. */
  readonly arn: string | null
  /** `<role id>:<session name>`, or `<account>:<name>`. */
  readonly principalId: string | null
  /** Percent of the largest session token; AWS refuses above 100. */
  readonly sessionTokenUtilization: number | null
  readonly packedPolicySize: number | null
}

/** STS of one endpoint, region and identity. */
export interface Sts {
  /**
   * Sends one request, once, whatever comes of it: each request that reaches AWS may mint a
   * credential (SEC-148).
   *
   * @throws StsRefusal, StsNotSent, StsUncertain
   */
  call (call: StsCall): Promise<StsAnswer>
  /** Lets go of idle connections. */
  close (): void
}

/** STS said no, in its own words: nothing was minted, except that above status 499 nobody knows. */
export class StsRefusal extends Error {
  override readonly name = 'StsRefusal'
  /** AWS's code, such as `AccessDenied`. */
  readonly code: string
  readonly status: number
  /** What `Retry-After` said, seconds. */
  readonly retryAfterSeconds: number | null

  constructor (code: string, message: string, status: number, retryAfterSeconds: number | null = null) {
    super(message)
    this.code = code
    this.status = status
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** The request did not leave: no byte of it reached anybody. */
export class StsNotSent extends Error {
  override readonly name = 'StsNotSent'
}

/** The request left and no usable answer came: nobody knows whether a credential was minted. */
export class StsUncertain extends Error {
  override readonly name = 'StsUncertain'
}
