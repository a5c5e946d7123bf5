/** A refusal as AWS puts it: a code, an HTTP status and words. The services choose the envelope. */
export class AwsError extends Error {
  readonly status: number
  readonly code: string

  constructor (status: number, code: string, message: string) {
    super(message)
    this.name = 'AwsError'
    this.status = status
    this.code = code
  }
}

/** Why a request was not authenticated; EC2 and S3 have codes of their own for some. */
export type AuthenticationProblem =
  'unsigned' | 'incomplete' | 'scope' | 'skew' | 'unknown-key' | 'token' | 'mismatch' | 'expired'

/** A request that nobody is known to have sent. */
export class AuthenticationError extends AwsError {
  readonly problem: AuthenticationProblem

  constructor (problem: AuthenticationProblem, message: string) {
    const [status, code] = authenticationCodes[problem]
    super(status, code, message)
    this.name = 'AuthenticationError'
    this.problem = problem
  }
}

const authenticationCodes: Readonly<Record<AuthenticationProblem, readonly [number, string]>> = {
  unsigned: [403, 'MissingAuthenticationToken'],
  incomplete: [400, 'IncompleteSignature'],
  scope: [403, 'SignatureDoesNotMatch'],
  skew: [403, 'SignatureDoesNotMatch'],
  'unknown-key': [403, 'InvalidClientTokenId'],
  token: [403, 'InvalidClientTokenId'],
  mismatch: [403, 'SignatureDoesNotMatch'],
  expired: [403, 'ExpiredToken']
}

/** 400 ValidationError, the words given. */
export function invalid (message: string): AwsError {
  return new AwsError(400, 'ValidationError', message)
}

/** 403 AccessDenied, the words given. */
export function denied (message: string): AwsError {
  return new AwsError(403, 'AccessDenied', message)
}

/** 403 InvalidClientTokenId: an unknown key, or a session token that is missing or another's. */
export function invalidToken (problem: 'unknown-key' | 'token'): AuthenticationError {
  return new AuthenticationError(problem, 'The security token included in the request is invalid.')
}

/** 404 NoSuchEntity, the words given. */
export function noSuchEntity (message: string): AwsError {
  return new AwsError(404, 'NoSuchEntity', message)
}

/** 409 LimitExceeded: a quota of IAM. */
export function limitExceeded (message: string): AwsError {
  return new AwsError(409, 'LimitExceeded', message)
}
