/** Regions of the `aws` partition that every account has. */
export const defaultRegions: readonly string[] = [
  'us-east-1', 'us-east-2', 'us-west-1', 'us-west-2', 'ca-central-1', 'sa-east-1', 'eu-central-1', 'eu-west-1',
  'eu-west-2', 'eu-west-3', 'eu-north-1', 'ap-south-1', 'ap-northeast-1', 'ap-northeast-2', 'ap-northeast-3',
  'ap-southeast-1', 'ap-southeast-2'
]

/** Regions that are off until an account opts in. */
export const optInRegions: readonly string[] = [
  'af-south-1', 'ap-east-1', 'ap-south-2', 'ap-southeast-3', 'ap-southeast-4', 'ap-southeast-5', 'ca-west-1',
  'eu-central-2', 'eu-south-1', 'eu-south-2', 'il-central-1', 'me-central-1', 'me-south-1', 'mx-central-1'
]

/** Services without regions are signed for this one, which is also where IAM is written. */
export const homeRegion = 'us-east-1'

const all: ReadonlySet<string> = new Set([...defaultRegions, ...optInRegions])

export function isRegion (name: string): boolean {
  return all.has(name)
}

/** Whether an account with these opted-in regions can use this one. */
export function isEnabled (region: string, optedIn: ReadonlySet<string>): boolean {
  return defaultRegions.includes(region) || optedIn.has(region)
}
