//! A node exporter on a machine with 16 cores.

pub(super) const FAMILIES: &str = "\
up const:1
scrape_duration_seconds ratio:0.02
scrape_samples_scraped const:520
scrape_samples_post_metric_relabeling const:520
scrape_series_added const:0
node_boot_time_seconds start
node_load1 ratio:2
node_load5 ratio:2
node_load15 ratio:2
node_uname_info const:1 machine=x86_64 release=6.8.0-45-generic sysname=Linux
node_cpu_seconds_total seconds:3 cpu=0..16 mode=idle,iowait,irq,nice,softirq,steal,system,user
node_cpu_guest_seconds_total const:0 cpu=0..16 mode=nice,user
node_schedstat_running_seconds_total nanoseconds:4 cpu=0..16
node_schedstat_waiting_seconds_total nanoseconds:1 cpu=0..16
node_context_switches_total counter:60000
node_intr_total counter:30000
node_forks_total counter:40
node_procs_running gauge:4
node_procs_blocked const:0
node_entropy_available_bits const:256
node_filefd_allocated gauge:4000
node_filefd_maximum const:9223372036854775807
node_memory_MemTotal_bytes const:67553013760
node_memory_MemFree_bytes bytes:9000000000
node_memory_MemAvailable_bytes bytes:30000000000
node_memory_Buffers_bytes bytes:500000000
node_memory_Cached_bytes bytes:20000000000
node_memory_Active_bytes bytes:15000000000
node_memory_Inactive_bytes bytes:12000000000
node_memory_AnonPages_bytes bytes:14000000000
node_memory_Mapped_bytes bytes:2000000000
node_memory_Shmem_bytes bytes:90000000
node_memory_Slab_bytes bytes:1500000000
node_memory_SReclaimable_bytes bytes:1000000000
node_memory_SUnreclaim_bytes bytes:500000000
node_memory_PageTables_bytes bytes:120000000
node_memory_Dirty_bytes bytes:4000000
node_memory_Writeback_bytes const:0
node_memory_SwapTotal_bytes const:0
node_memory_SwapFree_bytes const:0
node_memory_KernelStack_bytes bytes:40000000
node_memory_Committed_AS_bytes bytes:40000000000
node_memory_HugePages_Total const:0
node_memory_HugePages_Free const:0
node_memory_Hugepagesize_bytes const:2097152
node_disk_reads_completed_total counter:120 device=nvme0n1,nvme1n1,nvme2n1
node_disk_writes_completed_total counter:900 device=nvme0n1,nvme1n1,nvme2n1
node_disk_read_bytes_total counter:4000000 device=nvme0n1,nvme1n1,nvme2n1
node_disk_written_bytes_total counter:20000000 device=nvme0n1,nvme1n1,nvme2n1
node_disk_read_time_seconds_total seconds:0.4 device=nvme0n1,nvme1n1,nvme2n1
node_disk_write_time_seconds_total seconds:1.2 device=nvme0n1,nvme1n1,nvme2n1
node_disk_io_time_seconds_total seconds:1.1 device=nvme0n1,nvme1n1,nvme2n1
node_disk_io_now gauge:2 device=nvme0n1,nvme1n1,nvme2n1
node_disk_info const:1 device=nvme0n1,nvme1n1,nvme2n1
node_filesystem_size_bytes const:107361579008 device+fstype+mountpoint=/dev/nvme0n1p1+ext4+/,/dev/nvme0n1p2+vfat+/boot,/dev/nvme1n1+xfs+/var/lib/containerd,/dev/nvme2n1+ext4+/var/lib/kubelet,tmpfs+tmpfs+/run
node_filesystem_free_bytes bytes:50000000000 device+fstype+mountpoint=/dev/nvme0n1p1+ext4+/,/dev/nvme0n1p2+vfat+/boot,/dev/nvme1n1+xfs+/var/lib/containerd,/dev/nvme2n1+ext4+/var/lib/kubelet,tmpfs+tmpfs+/run
node_filesystem_avail_bytes bytes:45000000000 device+fstype+mountpoint=/dev/nvme0n1p1+ext4+/,/dev/nvme0n1p2+vfat+/boot,/dev/nvme1n1+xfs+/var/lib/containerd,/dev/nvme2n1+ext4+/var/lib/kubelet,tmpfs+tmpfs+/run
node_filesystem_files const:6553600 device+fstype+mountpoint=/dev/nvme0n1p1+ext4+/,/dev/nvme0n1p2+vfat+/boot,/dev/nvme1n1+xfs+/var/lib/containerd,/dev/nvme2n1+ext4+/var/lib/kubelet,tmpfs+tmpfs+/run
node_filesystem_files_free gauge:6000000 device+fstype+mountpoint=/dev/nvme0n1p1+ext4+/,/dev/nvme0n1p2+vfat+/boot,/dev/nvme1n1+xfs+/var/lib/containerd,/dev/nvme2n1+ext4+/var/lib/kubelet,tmpfs+tmpfs+/run
node_filesystem_readonly const:0 device+fstype+mountpoint=/dev/nvme0n1p1+ext4+/,/dev/nvme0n1p2+vfat+/boot,/dev/nvme1n1+xfs+/var/lib/containerd,/dev/nvme2n1+ext4+/var/lib/kubelet,tmpfs+tmpfs+/run
node_network_receive_bytes_total counter:9000000 device=ens5,ens6,cilium_host,cilium_vxlan,lxc0,lo
node_network_transmit_bytes_total counter:9000000 device=ens5,ens6,cilium_host,cilium_vxlan,lxc0,lo
node_network_receive_packets_total counter:12000 device=ens5,ens6,cilium_host,cilium_vxlan,lxc0,lo
node_network_transmit_packets_total counter:12000 device=ens5,ens6,cilium_host,cilium_vxlan,lxc0,lo
node_network_receive_errs_total const:0 device=ens5,ens6,cilium_host,cilium_vxlan,lxc0,lo
node_network_transmit_errs_total const:0 device=ens5,ens6,cilium_host,cilium_vxlan,lxc0,lo
node_network_receive_drop_total counter:0.01 device=ens5,ens6,cilium_host,cilium_vxlan,lxc0,lo
node_network_transmit_drop_total const:0 device=ens5,ens6,cilium_host,cilium_vxlan,lxc0,lo
node_network_up const:1 device=ens5,ens6,cilium_host,cilium_vxlan,lxc0,lo
node_network_mtu_bytes const:9001 device=ens5,ens6,cilium_host,cilium_vxlan,lxc0,lo
node_network_carrier const:1 device=ens5,ens6,cilium_host,cilium_vxlan,lxc0,lo
node_netstat_Tcp_ActiveOpens counter:40
node_netstat_Tcp_PassiveOpens counter:40
node_netstat_Tcp_CurrEstab gauge:300
node_netstat_Tcp_InSegs counter:14000
node_netstat_Tcp_OutSegs counter:15000
node_netstat_Tcp_RetransSegs counter:3
node_netstat_Tcp_InErrs const:0
node_netstat_Udp_InDatagrams counter:100
node_netstat_Udp_OutDatagrams counter:100
node_sockstat_TCP_alloc gauge:500
node_sockstat_TCP_inuse gauge:200
node_sockstat_TCP_tw gauge:80
node_sockstat_sockets_used gauge:900
node_vmstat_pgfault counter:50000
node_vmstat_pgmajfault counter:2
node_vmstat_pgpgin counter:4000
node_vmstat_pgpgout counter:20000
node_vmstat_oom_kill const:0
node_timex_offset_seconds ratio:0.001
node_timex_sync_status const:1
node_time_zone_offset_seconds const:0 time_zone=UTC
node_scrape_collector_success const:1 collector=cpu,diskstats,filefd,filesystem,loadavg,meminfo,netdev,netstat,sockstat,stat,time,uname,vmstat
node_scrape_collector_duration_seconds ratio:0.003 collector=cpu,diskstats,filefd,filesystem,loadavg,meminfo,netdev,netstat,sockstat,stat,time,uname,vmstat
go_goroutines gauge:10
go_threads gauge:12
go_info const:1 version=go1.25.3
process_cpu_seconds_total seconds:0.06
process_open_fds gauge:12
process_max_fds const:1048576
process_resident_memory_bytes bytes:24000000
process_virtual_memory_bytes const:1272000000
process_start_time_seconds start
";
