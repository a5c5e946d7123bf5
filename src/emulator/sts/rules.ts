import { textRule } from '../validation.ts'

/** The limits of STS's parameters, as its API model has them. */
export const rules = {
  roleArn: textRule(20, 2048, '[\\u0009\\u000A\\u000D\\u0020-\\u007E\\u0085\\u00A0-\\uD7FF\\uE000-\\uFFFD\\u{10000}-\\u{10FFFF}]+', 'u'),
  policyArn: textRule(20, 2048),
  sessionName: textRule(2, 64, '[\\w+=,.@-]*'),
  sourceIdentity: textRule(2, 64, '[\\w+=,.@-]*'),
  externalId: textRule(2, 1224, '[\\w+=,.@:\\/-]*'),
  policy: textRule(1, 2048, '[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+'),
  tagKey: textRule(1, 128, '[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+', 'u'),
  tagValue: textRule(0, 256, '[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*', 'u'),
  serialNumber: textRule(9, 256, '[\\w+=/:,.@-]*'),
  tokenCode: textRule(6, 6, '[\\d]*'),
  federationName: textRule(2, 32, '[\\w+=,.@-]*'),
  webIdentityToken: textRule(4, 20_000),
  providerId: textRule(4, 2048),
  contextAssertion: textRule(4, 2048),
  encodedMessage: textRule(1, 10_240),
  accessKeyId: textRule(16, 128, '[\\w]*'),
  roleSeconds: { min: 900, max: 43_200 },
  userSeconds: { min: 900, max: 129_600 },
  tokenBytes: { min: 0, max: 4096 }
}

export const tagsMax = 50
export const policyArnsMax = 10
export const providedContextsMax = 5

/** Inline text and managed policies of a session together; characters. */
export const sessionPolicyTextMax = 2048

/** The longest session of a role that was assumed with a session's credentials. */
export const chainedSecondsMax = 3600
