/** How POGs are served: by the kernel's protocol, or through the package of that name. */
export const TRANSPORTS = ['kernel', 'fuse-native'] as const
export type Transport = (typeof TRANSPORTS)[number]
