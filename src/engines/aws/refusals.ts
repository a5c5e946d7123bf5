import { CredentialUncertain } from '../../core/backend.ts'
import { BrokerError, invalidRequest } from '../../core/errors.ts'
import { Overloaded } from './in-flight.ts'
import { StsNotSent, StsRefusal, StsUncertain } from './sts.ts'

/** Codes about the caller's own request, whose words help the caller (contract 6.5, SEC-168). */
const tellable = new Set([
  'AccessDenied', 'AccessDeniedException', 'ValidationError', 'ValidationException', 'MalformedPolicyDocument',
  'PackedPolicyTooLarge', 'RegionDisabledException', 'InvalidParameterValue', 'InvalidParameterCombination', 'MissingParameter'
])

const throttling = new Set([
  'Throttling', 'ThrottlingException', 'ThrottledException', 'RequestThrottled', 'RequestThrottledException',
  'RequestLimitExceeded', 'TooManyRequestsException', 'SlowDown'
])

const messageBytesMax = 1024

/**
 * What a failed call means to the caller. Where nothing was minted it is a BrokerError, else
 * CredentialUncertain. Of AWS's words only those about the caller's request pass; trouble with the
 * broker's own identity has one fixed text, found again by the request's id.
 */
export function failureOf (error: unknown, during: string, requestId: string): Error {
  if (error instanceof StsRefusal) return refused(error, during, requestId)
  if (error instanceof StsUncertain) {
    return new CredentialUncertain(`${during}: ${error.message}, request ${requestId}`, { cause: error })
  }
  if (error instanceof Overloaded) return new BrokerError('limit_exceeded', `${during}: ${error.message}`, { cause: error })
  if (error instanceof StsNotSent) return invalidRequest(`${during}: ${error.message}, request ${requestId}`, error)
  return new CredentialUncertain(`${during}: the call to AWS STS failed, request ${requestId}`, { cause: error })
}

function refused (error: StsRefusal, during: string, requestId: string): Error {
  const { code, status, retryAfterSeconds } = error
  if (throttling.has(code)) {
    const later = retryAfterSeconds === null ? '' : `, retry after ${retryAfterSeconds} s`
    return new BrokerError('upstream_throttled', `${during}: ${code}: ${tell(error.message)}${later}`, { cause: error })
  }
  if (status >= 500) {
    return new CredentialUncertain(`${during}: AWS STS failed while it worked, request ${requestId}`, { cause: error })
  }
  if (tellable.has(code)) return invalidRequest(`${during}: ${code}: ${tell(error.message)}`, error)
  return invalidRequest(`${during}: AWS STS did not accept the broker's own request, request ${requestId}`, error)
}

/** AWS's words without control characters and access key ids, cut to 1 KiB. */
function tell (message: string): string {
  const text = message.replace(/\p{Cc}+/gu, '').replace(/\b(A[A-Z]{2}A)[A-Z0-9]{12,124}\b/g, '$1****')
  const bytes = Buffer.from(text)
  return bytes.length <= messageBytesMax ? text : bytes.toString('utf8', 0, messageBytesMax).replace(/\uFFFD+$/, '')
}
